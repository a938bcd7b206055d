// Directories with all that lies below them. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ferry {

/// Of relative paths, as in path.h; "" is the directory that they are all relative to, and covers
/// everything. Costs n log n to make, and log n to ask.
class Subtrees {
 public:
  explicit Subtrees(std::vector<std::string> directories);

  /// True for PATH itself and what lies below it.
  bool cover(std::string_view path) const;

  /// The least of them that cover the same: each once, none below another. Sorted by their bytes.
  const std::vector<std::string>& tops() const { return tops_; }

 private:
  std::vector<std::string> tops_;
};

}  // namespace ferry
