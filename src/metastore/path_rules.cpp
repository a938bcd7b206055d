#include "metastore/path_rules.h"

#include <algorithm>

namespace ferry::metastore {

std::string_view path_problem(std::string_view path) {
  if (path.empty()) return "is empty";
  if (path.front() == '/') return "is not relative to the landing area";
  if (path.find('\0') != std::string_view::npos) return "has a NUL character";
  for (std::size_t start = 0; start <= path.size();) {
    const std::size_t end = std::min(path.find('/', start), path.size());
    if (path.substr(start, end - start) == "..") return "leads out of the landing area";
    start = end + 1;
  }
  return {};
}

}  // namespace ferry::metastore
