// Which names are never registered. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ferry/base/glob.h"
#include "ferry/landing/watch.h"

namespace ferry::landing {

/// Why a name is never registered.
enum class IgnoredAs : std::uint8_t { kHidden, kUnfinished, kByGlob };

/// Names that uploads use before they are complete, and what the user does not want.
class IgnoreRules {
 public:
  explicit IgnoreRules(const std::vector<std::string>& globs = {})
      : globs_(globs.begin(), globs.end()) {}

  /// PATH is relative to the landing area. True for dot files and all below dot directories, for
  /// *.tmp, *.part and *.filepart, and where a glob matches the file's name or PATH.
  bool ignores_file(const std::string& path) const { return find_rule(path).has_value(); }
  std::optional<IgnoredAs> find_rule(const std::string& path) const;

 private:
  std::vector<Glob> globs_;
};

/// One more in COUNTS.
void count(IgnoredCounts& counts, IgnoredAs rule);

/// True for the name of a dot file or dot directory.
bool is_hidden(std::string_view name);

/// Why a name cannot be registered, such as "not valid UTF-8"; nothing if it can.
std::optional<std::string_view> name_problem(std::string_view name);

/// NAME with bytes that a terminal or a log cannot show as \xNN.
std::string printable(std::string_view name);

}  // namespace ferry::landing
