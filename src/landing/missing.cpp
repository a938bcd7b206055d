#include "landing/missing.h"

#include <algorithm>
#include <set>

namespace ferry::landing {
namespace {

bool is_gone(int root_fd, const std::string& path) {
  const auto status = probe(root_fd, path);
  return !status && status.error().kind == ErrorKind::kNotFound;
}

/// The device of the nearest directory above PATH that is there.
std::optional<std::uint64_t> device_above(int root_fd, std::string path) {
  for (;;) {
    const auto slash = path.rfind('/');
    path = slash == std::string::npos ? "." : path.substr(0, slash);
    if (const auto status = probe(root_fd, path)) return status->st_dev;
    if (path == ".") return std::nullopt;
  }
}

bool is_missing(int root_fd, const metastore::FileRecord& file) {
  if (!is_gone(root_fd, file.path)) return false;
  return !file.identity || device_above(root_fd, file.path) == file.identity->device;
}

}  // namespace

Subtrees::Subtrees(std::vector<std::string> directories) : sorted_(std::move(directories)) {
  std::ranges::sort(sorted_);
}

bool Subtrees::cover(std::string_view path) const {
  for (std::string_view above = path;;) {
    if (std::ranges::binary_search(sorted_, above, std::less<>())) return true;
    if (above.empty()) return false;
    const auto slash = above.rfind('/');
    above = slash == std::string_view::npos ? std::string_view() : above.substr(0, slash);
  }
}

Result<std::vector<std::string>> find_missing(metastore::Metastore& metastore,
                                              std::string_view landing, const Root& root,
                                              std::vector<std::string> directories) {
  const auto root_fd = root.open();
  if (!root_fd) return std::vector<std::string>();
  const Subtrees subtrees(std::move(directories));
  std::set<std::string> missing;
  // Oldest first: the latest version of a path has the last word.
  auto visited = metastore.visit([&](const metastore::FileRecord& file, auto) {
    if (file.landing != landing || !subtrees.cover(file.path)) return;
    const bool ready = file.state == metastore::FileState::kReady;
    if (ready && is_missing(root_fd->get(), file)) {
      missing.insert(file.path);
    } else {
      missing.erase(file.path);
    }
  });
  if (!visited) return visited.error();
  // Moved away or unmounted while we looked: what we saw proves nothing.
  if (!root.open()) return std::vector<std::string>();
  return std::vector<std::string>(missing.begin(), missing.end());
}

Result<std::vector<metastore::FileRecord>> find_unmoved(metastore::Metastore& metastore,
                                                        std::string_view landing,
                                                        const Root& root) {
  std::vector<metastore::FileRecord> unmoved;
  const auto root_fd = root.open();
  if (!root_fd) return unmoved;
  auto visited = metastore.visit([&](const metastore::FileRecord& file, auto) {
    if (file.state != metastore::FileState::kQuarantined || file.landing != landing) return;
    const auto status = probe(root_fd->get(), file.path);
    if (status && file.identity == identity_of(*status)) unmoved.push_back(file);
  });
  if (!visited) return visited.error();
  return unmoved;
}

}  // namespace ferry::landing
