// Local files: opening, whole-buffer reads and writes, durable replacement, identity. In
// directories that others may write to, see directory.h.
//
// Errors carry the path. Functions here repeat calls that a signal interrupted.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <boost/filesystem/path.hpp>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "ferry/base/fd.h"
#include "ferry/base/result.h"

namespace ferry {

namespace fs = boost::filesystem;

/// What tells one version of a file's bytes from another without reading them. Neither the inode
/// (reused) nor the modification time (settable) is enough alone; ctime_ns cannot be set back.
struct FileIdentity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;  // bytes
  std::int64_t mtime_ns = 0;
  std::int64_t ctime_ns = 0;

  bool operator==(const FileIdentity&) const = default;
};

FileIdentity identity_of(const struct stat& status);

/// True for the same bytes of the same file, renamed or not: a rename changes the ctime.
inline bool same_but_for_ctime(FileIdentity one, const FileIdentity& other) {
  one.ctime_ns = other.ctime_ns;
  return one == other;
}

Result<struct stat> stat_fd(int fd, const fs::path& path_for_messages);

/// open(2) with O_CLOEXEC, and with O_NONBLOCK: whatever has the name, nobody is waited for (of
/// what may be a pipe that is worth waiting for, see input.h). What root creates belongs to whom
/// its directory belongs: that account could not go on with it otherwise.
Result<UniqueFd> open_file(const fs::path& path, int flags, mode_t mode = 0644);

/// Reads until BUFFER is full or the file ends; returns the bytes read.
Result<std::size_t> pread_full(int fd, std::span<std::byte> buffer, std::uint64_t offset,
                               const fs::path& path_for_messages);

Result<void> write_full(int fd, std::span<const std::byte> data, const fs::path& path_for_messages);

/// Opens a regular file for reading. kInvalid for what is not one, as for read_file.
Result<UniqueFd> open_regular_file(const fs::path& path);

/// The content of a regular file. kInvalid for what is not one: a FIFO would be waited for.
Result<std::string> read_file(const fs::path& path);

/// Replaces a file in one step: temporary file beside it, fsync, rename, fsync of the directory.
/// After a crash it has the old content or the new one; the temporary file that it may leave is
/// taken by the next one. Without commit nothing is left behind. One at a time for each path.
class FileReplacement {
 public:
  static Result<FileReplacement> begin(const fs::path& path, mode_t mode = 0644);
  FileReplacement(FileReplacement&& other) noexcept;
  FileReplacement& operator=(FileReplacement&&) = delete;
  ~FileReplacement();

  Result<void> write(std::span<const std::byte> data);
  Result<void> commit();

 private:
  FileReplacement(fs::path path, fs::path temporary, UniqueFd fd);

  fs::path path_;
  fs::path temporary_;  // empty: nothing to remove
  UniqueFd fd_;
};

/// Where the new content of PATH is until it is complete.
fs::path temporary_of(const fs::path& path);

/// The same, all at once.
Result<void> replace_file(const fs::path& path, std::string_view content, mode_t mode = 0644);

/// Makes renames and new names in DIRECTORY durable.
Result<void> sync_directory(const fs::path& directory);

/// Creates DIRECTORY and its parents if they are missing; for root as open_file does.
Result<void> make_directories(const fs::path& directory);

inline std::span<const std::byte> as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

}  // namespace ferry
