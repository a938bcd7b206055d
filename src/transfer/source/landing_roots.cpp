#include "transfer/source/landing_roots.h"

#include <dirent.h>
#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "ferry/base/directory.h"
#include "transfer/source/source_opener.h"

namespace ferry::transfer {

using sftp::Task;

namespace {

Result<std::unique_ptr<LocalRoot>> open_root(const fs::path& directory) {
  auto fd = open_file(directory, O_PATH | O_DIRECTORY);
  if (!fd) return fd.error().with_context("landing area");
  return std::make_unique<LocalRoot>(std::move(*fd));
}

}  // namespace

LandingRoots LandingRoots::open(const LandingPlaces& places) {
  LandingRoots result;
  // One area under several names is one place.
  std::vector<const sftp::Location*> known;
  for (const auto& [landing, place] : places) {
    if (const auto* location = std::get_if<sftp::Location>(&place)) {
      const auto same =
          std::ranges::find_if(known, [&](const auto* other) { return *other == *location; });
      const auto* first = same == known.end() ? known.emplace_back(location) : *same;
      result.roots_.emplace(landing, std::make_unique<RemoteRoot>(*first));
    } else if (auto root = open_root(std::get<fs::path>(place))) {
      result.roots_.emplace(landing, std::move(*root));
    } else {
      result.absent_.emplace(landing, root.error());
    }
  }
  return result;
}

const LandingRoot* LandingRoots::find(const std::string& landing) const {
  const auto found = roots_.find(landing);
  return found == roots_.end() ? nullptr : found->second.get();
}

const Error* LandingRoots::absence(const std::string& landing) const {
  const auto found = absent_.find(landing);
  return found == absent_.end() ? nullptr : &found->second;
}

LocalRoot::LocalRoot(UniqueFd directory) : directory_(std::move(directory)) {
  if (const auto status = stat_fd(fd(), "landing area")) device_ = status->st_dev;
}

/// What cannot be read is not known to be empty.
bool LocalRoot::is_empty() const {
  const auto listed = open_beneath(fd(), ".", O_RDONLY | O_DIRECTORY);
  DIR* stream = listed ? ::fdopendir(::fcntl(listed->get(), F_DUPFD_CLOEXEC, 0)) : nullptr;
  if (stream == nullptr) return false;
  errno = 0;
  int names = 0;
  while (names <= 2 && ::readdir(stream) != nullptr) ++names;
  const bool is_known = errno == 0;
  ::closedir(stream);
  return is_known && names <= 2;  // "." and ".."
}

Task<Result<std::unique_ptr<Source>>> LocalRoot::open(SourceOpener&, std::string path) const {
  co_return open_local_source(fd(), path);
}

Task<Result<std::unique_ptr<Source>>> LocalRoot::open(SourceOpener&, std::string path,
                                                      FileIdentity expected, Range) const {
  auto source = open_local_source(fd(), path);
  if (!source) co_return source;
  const auto identity = co_await (*source)->identity();
  if (!identity) co_return identity.error();
  if (*identity != expected) co_return source_changed(path, "before it was sent");
  co_return source;
}

Task<Result<void>> LocalRoot::reach(SourceOpener&) const {
  co_return Result<void>();
}

bool LocalRoot::is_elsewhere(const metastore::FileRecord& file) const {
  return file.identity && file.identity->device != device_;
}

bool LocalRoot::is_unmounted(const metastore::FileRecord& file) const {
  if (!is_elsewhere(file)) return false;
  const auto there = stat_beneath(fd(), file.path);
  if (there || there.error().kind != ErrorKind::kNotFound) return false;
  return device_above(fd(), file.path) != file.identity->device;
}

Task<Result<std::unique_ptr<Source>>> RemoteRoot::open(SourceOpener& sources,
                                                       std::string path) const {
  co_return co_await sources.reader(location_).open(std::move(path));
}

Task<Result<std::unique_ptr<Source>>> RemoteRoot::open(SourceOpener& sources, std::string path,
                                                       FileIdentity expected, Range range) const {
  co_return co_await sources.reader(location_).open(std::move(path), expected, range);
}

Task<Result<void>> RemoteRoot::reach(SourceOpener& sources) const {
  co_return co_await sources.reader(location_).reach();
}

}  // namespace ferry::transfer
