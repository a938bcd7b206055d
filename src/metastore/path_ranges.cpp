#include "metastore/path_ranges.h"

namespace ferry::metastore {

std::vector<PathRange> ranges_below(const Subtrees& directories) {
  std::vector<PathRange> ranges;
  for (const std::string& directory : directories.tops()) {
    // A file may have the name that a directory had.
    ranges.push_back({.from = directory, .until = directory + "\x01"});
    ranges.push_back({.from = directory + "/", .until = directory + "0"});
  }
  return ranges;
}

}  // namespace ferry::metastore
