#include "landing/watch/missing.h"

#include <sys/stat.h>

#include "ferry/base/directory.h"

namespace ferry::landing {
namespace {

bool is_gone(int root_fd, const std::string& path) {
  const auto status = stat_beneath(root_fd, path);
  if (status) return S_ISDIR(status->st_mode);  // has taken the file's name
  return status.error().kind == ErrorKind::kNotFound;
}

bool is_missing(int root_fd, const metastore::FileRecord& file) {
  if (!is_gone(root_fd, file.path)) return false;
  return !file.identity || device_above(root_fd, file.path) == file.identity->device;
}

}  // namespace

Result<std::vector<std::string>> find_missing(metastore::Metastore& metastore,
                                              std::string_view landing, const Root& root,
                                              std::vector<std::string> directories, Pulse& pulse) {
  const auto root_fd = root.open();
  if (!root_fd || directories.empty()) return std::vector<std::string>();
  std::vector<std::string> missing;
  const metastore::FileQuery latest{.landings = {std::string(landing)},
                                    .below = std::move(directories),
                                    .states = {metastore::FileState::kReady},
                                    .latest_versions = true};
  auto visited = metastore.visit(latest, [&](const metastore::FileRecord& file, auto) {
    pulse.beat();
    if (is_missing(root_fd->get(), file)) missing.push_back(file.path);
  });
  if (!visited) return visited.error();
  // Moved away or unmounted while we looked: what we saw proves nothing.
  if (!root.open()) return std::vector<std::string>();
  return missing;
}

Result<std::vector<metastore::FileRecord>> find_unmoved(metastore::Metastore& metastore,
                                                        std::string_view landing, const Root& root,
                                                        Pulse& pulse) {
  std::vector<metastore::FileRecord> unmoved;
  const auto root_fd = root.open();
  if (!root_fd) return unmoved;
  const metastore::FileQuery held{.landings = {std::string(landing)},
                                  .states = {metastore::FileState::kQuarantined},
                                  .latest_versions = true};
  auto visited = metastore.visit(held, [&](const metastore::FileRecord& file, auto) {
    pulse.beat();
    const auto status = stat_beneath(root_fd->get(), file.path);
    if (status && file.identity == identity_of(*status)) unmoved.push_back(file);
  });
  if (!visited) return visited.error();
  return unmoved;
}

}  // namespace ferry::landing
