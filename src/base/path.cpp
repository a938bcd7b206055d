#include "ferry/base/path.h"

#include <algorithm>
#include <vector>

namespace ferry {

std::string_view base_name(std::string_view path) {
  return path.substr(path.rfind('/') + 1);  // npos + 1 is 0
}

std::string_view directory_of(std::string_view path) {
  const auto slash = path.rfind('/');
  return slash == path.npos ? std::string_view() : path.substr(0, slash);
}

std::string parent_of(std::string_view path) {
  if (!path.contains('/')) return ".";
  const std::string_view directory = directory_of(path);
  return directory.empty() ? "/" : std::string(directory);
}

std::string beside(std::string_view path, std::string_view name) {
  std::string result(path.substr(0, path.rfind('/') + 1));
  return result.append(name);
}

std::optional<std::string_view> Components::next() {
  if (!rest_) return std::nullopt;
  const auto slash = rest_->find('/');
  const std::string_view name = rest_->substr(0, slash);
  if (slash == rest_->npos) {
    rest_.reset();
  } else {
    rest_->remove_prefix(slash + 1);
  }
  return name;
}

std::string normal_path(std::string_view path) {
  const bool is_absolute = path.starts_with('/');
  std::vector<std::string_view> names;
  for (Components components(path); const auto name = components.next();) {
    if (name->empty() || *name == ".") continue;
    const bool is_up = *name == "..";
    if (is_up && !names.empty() && names.back() != "..") {
      names.pop_back();
    } else if (!is_up || !is_absolute) {
      names.push_back(*name);
    }
  }
  std::string normal(is_absolute ? "/" : "");
  for (const std::string_view name : names) {
    if (!normal.empty() && normal.back() != '/') normal += '/';
    normal += name;
  }
  return normal.empty() ? "." : normal;
}

bool has_control_character(std::string_view text) {
  return std::ranges::any_of(text, [](char character) {
    return static_cast<unsigned char>(character) < 0x20 || character == '\x7F';
  });
}

}  // namespace ferry
