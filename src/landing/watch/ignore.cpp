#include "landing/watch/ignore.h"

#include <algorithm>
#include <array>

#include "ferry/base/text.h"

namespace ferry::landing {
namespace {

constexpr std::array<std::string_view, 3> kUnfinishedSuffixes{".tmp", ".part", ".filepart"};

bool has_hidden_component(std::string_view path) {
  return is_hidden(path) || path.find("/.") != std::string_view::npos;
}

}  // namespace

bool is_hidden(std::string_view name) {
  return name.starts_with('.');
}

bool IgnoreRules::ignores_file(const std::string& path) const {
  if (has_hidden_component(path)) return true;
  const auto slash = path.rfind('/');
  const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  if (std::ranges::any_of(kUnfinishedSuffixes, [&](auto end) { return name.ends_with(end); })) {
    return true;
  }
  return std::ranges::any_of(globs_, [&](const Glob& glob) { return glob.matches(path); });
}

std::optional<std::string_view> name_problem(std::string_view name) {
  for (std::string_view rest = name; !rest.empty();) {
    const std::size_t length = utf8_sequence(rest);
    if (length == 0) return "its name is not valid UTF-8";
    rest.remove_prefix(length);
  }
  if (escape_controls(name) != name) return "control characters in its name";
  return std::nullopt;
}

std::string printable(std::string_view name) {
  return escape_controls(name);
}

}  // namespace ferry::landing
