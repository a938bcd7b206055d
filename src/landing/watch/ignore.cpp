#include "landing/watch/ignore.h"

#include <algorithm>
#include <array>

#include "ferry/base/path.h"
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

std::optional<IgnoredAs> IgnoreRules::find_rule(const std::string& path) const {
  if (has_hidden_component(path)) return IgnoredAs::kHidden;
  const std::string_view name = base_name(path);
  if (std::ranges::any_of(kUnfinishedSuffixes, [&](auto end) { return name.ends_with(end); })) {
    return IgnoredAs::kUnfinished;
  }
  if (std::ranges::any_of(globs_, [&](const Glob& glob) { return glob.matches(path); })) {
    return IgnoredAs::kByGlob;
  }
  return std::nullopt;
}

void count(IgnoredCounts& counts, IgnoredAs rule) {
  switch (rule) {
    case IgnoredAs::kHidden:
      ++counts.hidden;
      break;
    case IgnoredAs::kUnfinished:
      ++counts.unfinished;
      break;
    case IgnoredAs::kByGlob:
      ++counts.by_glob;
      break;
  }
}

IgnoredCounts& IgnoredCounts::operator+=(const IgnoredCounts& other) {
  hidden += other.hidden;
  hidden_directories += other.hidden_directories;
  unfinished += other.unfinished;
  by_glob += other.by_glob;
  return *this;
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
