#include "ferry/base/subtrees.h"

#include <algorithm>
#include <functional>

#include "ferry/base/path.h"

namespace ferry {
namespace {

bool cover_strictly(const std::vector<std::string>& sorted, std::string_view path) {
  while (!path.empty()) {
    path = directory_of(path);
    if (std::ranges::binary_search(sorted, path, std::less<>())) return true;
  }
  return false;
}

}  // namespace

Subtrees::Subtrees(std::vector<std::string> directories) {
  std::ranges::sort(directories);
  const auto repeated = std::ranges::unique(directories);
  directories.erase(repeated.begin(), repeated.end());
  std::ranges::copy_if(directories, std::back_inserter(tops_), [&](const std::string& directory) {
    return !cover_strictly(directories, directory);
  });
}

bool Subtrees::cover(std::string_view path) const {
  return std::ranges::binary_search(tops_, path, std::less<>()) || cover_strictly(tops_, path);
}

}  // namespace ferry
