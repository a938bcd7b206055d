// Shell patterns over relative paths. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ferry {

/// A pattern as of fnmatch(3): '*', '?', "[a-z]", '\' before what is meant literally. It matches
/// if it fits the whole path, or its last component; '*' and '?' stand for '/' too.
class Glob {
 public:
  explicit Glob(std::string pattern);

  /// A pattern, or part of one, that TEXT alone matches.
  static std::string escaped(std::string_view text);

  const std::string& pattern() const { return pattern_; }
  bool matches(const std::string& path) const;
  bool matches_everything() const { return kind_ == Kind::kEverything; }
  /// Only the path that the pattern spells.
  bool is_literal() const;

 private:
  enum class Kind : std::uint8_t {
    kEverything,  // "*", "**"
    kEnd,         // "*.csv": a star and a plain end, the usual case, without fnmatch's cost
    kGeneral,
  };

  std::string pattern_;
  Kind kind_;
};

/// True if some path matches both.
bool overlap(const Glob& one, const Glob& other);

}  // namespace ferry
