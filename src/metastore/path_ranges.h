// Paths below directories, as ranges of what sorts between two texts, byte by byte.
#pragma once

#include <string>
#include <vector>

#include "ferry/base/subtrees.h"

namespace ferry::metastore {

/// UNTIL is excluded.
struct PathRange {
  std::string from;
  std::string until;
};

/// Of all that DIRECTORIES cover, none of which is the area itself; nothing twice.
std::vector<PathRange> ranges_below(const Subtrees& directories);

}  // namespace ferry::metastore
