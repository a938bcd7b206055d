#include "ferry/base/file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <boost/filesystem/operations.hpp>
#include <cerrno>
#include <cstdio>
#include <utility>

namespace ferry {
namespace {

constexpr std::int64_t kNanosecondsPerSecond = 1'000'000'000;
constexpr mode_t kDirectoryMode = 0755;  // whatever the umask is, others write to none of ours

std::int64_t to_ns(const struct timespec& time) {
  return time.tv_sec * kNanosecondsPerSecond + time.tv_nsec;
}

std::string action(std::string_view verb, const fs::path& path) {
  return fmt::format("{} {}", verb, path.string());
}

fs::path parent_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

void give_to_owner_of_directory(int fd, const fs::path& directory) {
  struct stat status{};
  if (::stat(directory.c_str(), &status) != 0 || status.st_uid == 0) return;
  // Where root may not give files away (NFS), they are root's.
  [[maybe_unused]] const int given = ::fchown(fd, status.st_uid, status.st_gid);
}

Result<UniqueFd> open_retrying(const fs::path& path, int flags, mode_t mode) {
  for (;;) {
    const int fd = ::open(path.c_str(), flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, mode);
    if (fd >= 0) return UniqueFd(fd);
    if (errno != EINTR) return errno_error(errno, action("open", path));
  }
}

}  // namespace

FileIdentity identity_of(const struct stat& status) {
  return FileIdentity{.device = status.st_dev,
                      .inode = status.st_ino,
                      .size = static_cast<std::uint64_t>(status.st_size),
                      .mtime_ns = to_ns(status.st_mtim),
                      .ctime_ns = to_ns(status.st_ctim)};
}

Result<struct stat> stat_fd(int fd, const fs::path& path_for_messages) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) return errno_error(errno, action("stat", path_for_messages));
  return status;
}

Result<UniqueFd> open_file(const fs::path& path, int flags, mode_t mode) {
  if ((flags & O_CREAT) == 0 || ::geteuid() != 0) return open_retrying(path, flags, mode);
  // Only what is ours for certain is given away, and not what a link leads to.
  auto created = open_retrying(path, flags | O_EXCL, mode);
  if (created) {
    give_to_owner_of_directory(created->get(), parent_of(path));
    return created;
  }
  const bool is_there = created.error().os_code == EEXIST && (flags & O_EXCL) == 0;
  if (is_there) return open_retrying(path, flags, mode);
  return created;
}

Result<std::size_t> pread_full(int fd, std::span<std::byte> buffer, std::uint64_t offset,
                               const fs::path& path_for_messages) {
  std::size_t done = 0;
  while (done < buffer.size()) {
    const ssize_t count =
        ::pread(fd, buffer.data() + done, buffer.size() - done, static_cast<off_t>(offset + done));
    if (count == 0) break;
    if (count > 0) {
      done += static_cast<std::size_t>(count);
    } else if (errno != EINTR) {
      return errno_error(errno, action("read", path_for_messages));
    }
  }
  return done;
}

Result<void> write_full(int fd, std::span<const std::byte> data,
                        const fs::path& path_for_messages) {
  while (!data.empty()) {
    const ssize_t count = ::write(fd, data.data(), data.size());
    if (count >= 0) {
      data = data.subspan(static_cast<std::size_t>(count));
    } else if (errno != EINTR) {
      return errno_error(errno, action("write", path_for_messages));
    }
  }
  return {};
}

namespace {

/// As pread_full, from where FD stands.
Result<std::size_t> read_full(int fd, std::span<std::byte> buffer,
                              const fs::path& path_for_messages) {
  std::size_t done = 0;
  while (done < buffer.size()) {
    const ssize_t count = ::read(fd, buffer.data() + done, buffer.size() - done);
    if (count == 0) break;
    if (count > 0) {
      done += static_cast<std::size_t>(count);
    } else if (errno != EINTR) {
      return errno_error(errno, action("read", path_for_messages));
    }
  }
  return done;
}

/// SIZE is a guess. Files such as those in /proc say 0 and have content all the same: read until
/// the end. Some of them give it in one piece or not at all.
Result<std::string> read_all(int fd, std::size_t size, const fs::path& path) {
  constexpr std::size_t kOnePiece = 4096;
  std::string content;
  std::size_t wanted = std::max(size + 1, kOnePiece);
  for (;;) {
    const std::size_t before = content.size();
    content.resize(before + wanted);
    const auto count =
        read_full(fd, std::as_writable_bytes(std::span(content.data() + before, wanted)), path);
    if (!count) return count.error();
    content.resize(before + *count);
    if (*count < wanted) return content;
    wanted = content.size();
  }
}

}  // namespace

Result<UniqueFd> open_regular_file(const fs::path& path) {
  auto fd = open_file(path, O_RDONLY);
  if (!fd) return fd;
  const auto status = stat_fd(fd->get(), path);
  if (!status) return status.error();
  if (S_ISREG(status->st_mode)) return fd;
  return make_error(ErrorKind::kInvalid, "{} is not a regular file", path.string());
}

Result<std::string> read_file(const fs::path& path) {
  const auto fd = open_regular_file(path);
  if (!fd) return fd.error();
  const auto status = stat_fd(fd->get(), path);
  if (!status) return status.error();
  return read_all(fd->get(), static_cast<std::size_t>(status->st_size), path);
}

FileReplacement::FileReplacement(fs::path path, fs::path temporary, UniqueFd fd)
    : path_(std::move(path)), temporary_(std::move(temporary)), fd_(std::move(fd)) {}

FileReplacement::FileReplacement(FileReplacement&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, {})),
      fd_(std::move(other.fd_)) {}

FileReplacement::~FileReplacement() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

fs::path temporary_of(const fs::path& path) {
  return path.parent_path() / fmt::format(".{}.tmp", path.filename().string());
}

Result<FileReplacement> FileReplacement::begin(const fs::path& path, mode_t mode) {
  fs::path temporary = temporary_of(path);
  auto fd = open_file(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode);
  if (!fd) return fd.error();
  return FileReplacement(path, std::move(temporary), std::move(*fd));
}

Result<void> FileReplacement::write(std::span<const std::byte> data) {
  return write_full(fd_.get(), data, temporary_);
}

Result<void> FileReplacement::commit() {
  if (::fsync(fd_.get()) != 0) return errno_error(errno, action("fsync", temporary_));
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
    return errno_error(errno, action("rename to", path_));
  }
  temporary_.clear();
  return sync_directory(path_.parent_path());
}

Result<void> replace_file(const fs::path& path, std::string_view content, mode_t mode) {
  auto replacement = FileReplacement::begin(path, mode);
  if (!replacement) return replacement.error();
  if (auto written = replacement->write(as_bytes(content)); !written) return written;
  return replacement->commit();
}

Result<void> sync_directory(const fs::path& directory) {
  auto fd = open_file(directory.empty() ? fs::path(".") : directory, O_RDONLY | O_DIRECTORY);
  if (!fd) return fd.error();
  if (::fsync(fd->get()) != 0) return errno_error(errno, action("fsync", directory));
  return {};
}

Result<void> make_directories(const fs::path& directory) {
  boost::system::error_code code;
  if (directory.empty() || fs::is_directory(directory, code)) return {};
  const fs::path parent = parent_of(directory);
  if (auto made = make_directories(parent); !made) return made;
  if (::mkdir(directory.c_str(), kDirectoryMode) != 0) {
    const int error = errno;
    if (error == EEXIST && fs::is_directory(directory, code)) return {};
    return errno_error(error, action("create directory", directory));
  }
  if (::geteuid() != 0) return {};
  const auto fd = open_retrying(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
  if (fd) give_to_owner_of_directory(fd->get(), parent);
  return {};
}

}  // namespace ferry
