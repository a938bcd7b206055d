#include "transfer/source/landing_roots.h"

#include <dirent.h>
#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "ferry/base/directory.h"

namespace ferry::transfer {

namespace {

/// What cannot be read is not known to be empty.
bool is_empty(int directory) {
  const auto fd = open_beneath(directory, ".", O_RDONLY | O_DIRECTORY);
  DIR* stream = fd ? ::fdopendir(::fcntl(fd->get(), F_DUPFD_CLOEXEC, 0)) : nullptr;
  if (stream == nullptr) return false;
  errno = 0;
  int names = 0;
  while (names <= 2 && ::readdir(stream) != nullptr) ++names;
  const bool is_known = errno == 0;
  ::closedir(stream);
  return is_known && names <= 2;  // "." and ".."
}

Result<LandingRoot> open_root(const fs::path& directory) {
  auto fd = open_file(directory, O_PATH | O_DIRECTORY);
  if (!fd) return fd.error().with_context("landing area");
  const auto status = stat_fd(fd->get(), directory);
  if (!status) return status.error().with_context("landing area");
  const bool empty = is_empty(fd->get());
  return LandingRoot{std::move(*fd), status->st_dev, empty, nullptr};
}

}  // namespace

LandingRoots LandingRoots::open(const Directories& directories, const Locations& locations) {
  LandingRoots result;
  for (const auto& [landing, directory] : directories) {
    auto root = open_root(directory);
    if (root) {
      result.roots_.emplace(landing, std::move(*root));
    } else {
      result.absent_.emplace(landing, root.error());
    }
  }
  // One area under several names is one place.
  std::vector<const sftp::Location*> known;
  for (const auto& [landing, location] : locations) {
    const auto same =
        std::ranges::find_if(known, [&](const auto* other) { return *other == location; });
    const auto* place = same == known.end() ? known.emplace_back(&location) : *same;
    result.roots_.emplace(landing, LandingRoot{UniqueFd(), 0, false, place});
  }
  return result;
}

const LandingRoot* LandingRoots::find(const std::string& landing) const {
  const auto found = roots_.find(landing);
  return found == roots_.end() ? nullptr : &found->second;
}

const Error* LandingRoots::absence(const std::string& landing) const {
  const auto found = absent_.find(landing);
  return found == absent_.end() ? nullptr : &found->second;
}

bool is_unmounted(const LandingRoot& landing, const metastore::FileRecord& file) {
  if (landing.is_remote() || !file.identity || file.identity->device == landing.device) {
    return false;
  }
  const auto there = stat_beneath(landing.directory.get(), file.path);
  if (there || there.error().kind != ErrorKind::kNotFound) return false;
  return device_above(landing.directory.get(), file.path) != file.identity->device;
}

}  // namespace ferry::transfer
