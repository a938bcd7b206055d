#include "ferry/base/lock.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <thread>

namespace ferry {
namespace {

struct flock whole_file() {
  struct flock range{};
  range.l_type = F_WRLCK;
  range.l_whence = SEEK_SET;
  return range;
}

/// False: another holds it.
Result<bool> try_lock(int fd, const fs::path& path) {
  struct flock range = whole_file();
  if (::fcntl(fd, F_OFD_SETLK, &range) == 0) return true;
  if (errno == EAGAIN || errno == EACCES) return false;
  return errno_error(errno, fmt::format("lock {}", path.string()));
}

Result<UniqueFd> open_lock(const fs::path& path) {
  return open_file(path, O_RDWR | O_CREAT, 0600);
}

}  // namespace

Result<std::optional<FileLock>> FileLock::try_acquire(const fs::path& path) {
  auto fd = open_lock(path);
  if (!fd) return fd.error();
  return try_acquire(std::move(*fd), path);
}

Result<std::optional<FileLock>> FileLock::try_acquire(UniqueFd fd, const fs::path& path) {
  const auto locked = try_lock(fd.get(), path);
  if (!locked) return locked.error();
  if (!*locked) return std::optional<FileLock>();
  return std::optional<FileLock>(FileLock(std::move(fd)));
}

Result<FileLock> FileLock::acquire(const fs::path& path, std::chrono::milliseconds timeout) {
  auto fd = open_lock(path);
  if (!fd) return fd.error();
  return acquire(std::move(*fd), path, timeout);
}

Result<FileLock> FileLock::acquire(UniqueFd fd, const fs::path& path,
                                   std::chrono::milliseconds timeout) {
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + timeout;
  // The kernel has no timed wait for these locks; holders keep them for milliseconds.
  auto pause = std::chrono::microseconds(200);
  for (;;) {
    const auto locked = try_lock(fd.get(), path);
    if (!locked) return locked.error();
    if (*locked) return FileLock(std::move(fd));
    if (Clock::now() >= deadline) {
      return make_error(ErrorKind::kBusy, "lock {}: another process held it for more than {} s",
                        path.string(),
                        std::chrono::duration_cast<std::chrono::seconds>(timeout).count());
    }
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::microseconds(20'000));
  }
}

Result<bool> FileLock::is_held(const fs::path& path) {
  auto fd = open_file(path, O_RDONLY);
  if (!fd) {
    if (fd.error().kind == ErrorKind::kNotFound) return false;
    return fd.error();
  }
  return is_held(fd->get(), path);
}

/// A shared lock is none of ours: whoever may only read the file can have one.
Result<bool> FileLock::is_held(int fd, const fs::path& path) {
  struct flock range = whole_file();
  range.l_type = F_RDLCK;
  if (::fcntl(fd, F_OFD_GETLK, &range) != 0) {
    return errno_error(errno, fmt::format("query lock {}", path.string()));
  }
  return range.l_type != F_UNLCK;
}

}  // namespace ferry
