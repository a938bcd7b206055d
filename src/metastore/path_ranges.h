// Paths below directories, as ranges of what sorts between two texts, byte by byte.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::metastore {

/// UNTIL is excluded.
struct PathRange {
  std::string from;
  std::string until;
};

/// "" is the area itself. A file may have the name that a directory had.
bool lies_in(std::string_view path, std::string_view directory);

/// Of all that lies in one of DIRECTORIES, none of which is the area itself; nothing twice.
std::vector<PathRange> ranges_below(std::span<const std::string> directories);

}  // namespace ferry::metastore
