#include "transfer/after_delivery/archive.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <vector>

#include "ferry/base/hash.h"
#include "ferry/base/uuid.h"
#include "transfer/source/source.h"

namespace ferry::transfer {
namespace {

using metastore::FileRecord;

constexpr std::size_t kBlockBytes = 1024 * 1024;
constexpr std::size_t kLongestName = 255;  // NAME_MAX of the usual file systems
constexpr mode_t kCopyMode = 0600;

/// Reads all of SOURCE, and writes it to TO unless that is -1.
Result<Checksum> read_through(int source, const FileRecord& file, int to, const std::string& name) {
  Hasher hasher(file.checksum.algorithm);
  std::vector<std::byte> block(kBlockBytes);
  for (std::uint64_t offset = 0;; offset += block.size()) {
    const auto count = pread_full(source, block, offset, file.path);
    if (!count) return count.error();
    const auto bytes = std::span(block).first(*count);
    hasher.update(bytes);
    if (to >= 0) {
      if (auto written = write_full(to, bytes, name); !written) return written.error();
    }
    if (*count < block.size()) return hasher.finish();
  }
}

void copy_modification_time(const FileIdentity& from, int to) {
  constexpr std::int64_t kNanosecondsPerSecond = 1'000'000'000;
  const timespec modified{.tv_sec = from.mtime_ns / kNanosecondsPerSecond,
                          .tv_nsec = from.mtime_ns % kNanosecondsPerSecond};
  const std::array<timespec, 2> times{modified, modified};
  // Where a file system does not take it, the copy has a time of its own.
  [[maybe_unused]] const int set = ::futimens(to, times.data());
}

Result<void> copy_to(int to, const Entry& from, const FileRecord& file, const std::string& name) {
  const auto source = open_beneath(from.directory.get(), from.name, O_RDONLY);
  if (!source) return source.error();
  const auto before = stat_fd(source->get(), file.path);
  if (!before) return before.error();
  const FileIdentity identity = identity_of(*before);
  if (!S_ISREG(before->st_mode) || (file.identity && *file.identity != identity)) {
    return source_changed(file.path, "before it was archived");
  }
  const auto checksum = read_through(source->get(), file, to, name);
  if (!checksum) return checksum.error();
  if (*checksum != file.checksum) {
    return unlike_the_registry(file.path, *checksum, file.checksum);
  }
  copy_modification_time(identity, to);
  return sync(to, name);
}

}  // namespace

Result<bool> has_registered_content(int fd, const FileRecord& file) {
  const auto checksum = read_through(fd, file, -1, {});
  if (!checksum) return checksum.error();
  return *checksum == file.checksum;
}

Result<Archive> Archive::open(const fs::path& directory) {
  constexpr const char* kArriving = ".arriving";
  auto fd = make_private_directory(directory);
  if (!fd) return fd.error();
  auto arriving = make_private_directory(fd->get(), kArriving, directory / kArriving);
  if (!arriving) return arriving.error();
  return Archive(std::move(*fd), std::move(*arriving));
}

Result<Entry> Archive::place_for(const FileRecord& file) const {
  return make_parent(directory_.get(), file.path);
}

Result<void> Archive::copy(const Entry& from, const FileRecord& file,
                           const std::string& name) const {
  const std::string part = name + ".part";
  // What a crash left of an earlier one.
  ::unlinkat(arriving(), part.c_str(), 0);
  const auto to = create_at(arriving(), part, kCopyMode);
  if (!to) return to.error();
  give_to_our_account(to->get());
  auto copied = copy_to(to->get(), from, file, part);
  if (copied) copied = rename_new(arriving(), part, arriving(), name);
  if (copied) copied = sync(arriving(), name);
  if (copied) return {};
  for (const std::string& left : {part, name}) ::unlinkat(arriving(), left.c_str(), 0);
  return copied;
}

Result<void> Archive::give_name(const std::string& name, const Entry& place,
                                const FileRecord& file) const {
  const std::string id_name = with_id(place.name, file);
  Result<void> named;
  for (const std::string& candidate : {place.name, id_name, with_id(uuid_v7(), file)}) {
    named = rename_new(arriving_.get(), name, place.directory.get(), candidate);
    if (named || named.error().os_code != EEXIST) break;
  }
  return named;
}

std::string with_id(const std::string& name, const FileRecord& file) {
  const std::string suffix = "." + file.id.substr(0, kLongestName / 2);
  return name.substr(0, kLongestName - suffix.size()) + suffix;
}

}  // namespace ferry::transfer
