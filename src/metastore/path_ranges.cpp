#include "metastore/path_ranges.h"

#include <algorithm>

namespace ferry::metastore {

bool lies_in(std::string_view path, std::string_view directory) {
  if (directory.empty() || path == directory) return true;
  return path.starts_with(directory) && path[directory.size()] == '/';
}

std::vector<PathRange> ranges_below(std::span<const std::string> directories) {
  std::vector<PathRange> ranges;
  for (const std::string& directory : directories) {
    const auto covers = [&](const std::string& other) {
      return other != directory && lies_in(directory, other);
    };
    if (std::ranges::any_of(directories, covers)) continue;
    ranges.push_back({.from = directory, .until = directory + "\x01"});  // the name itself
    ranges.push_back({.from = directory + "/", .until = directory + "0"});
  }
  return ranges;
}

}  // namespace ferry::metastore
