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

}  // namespace

Result<std::optional<FileLock>> FileLock::try_acquire(const fs::path& path) {
  auto fd = open_file(path, O_RDWR | O_CREAT, 0644);
  if (!fd) return fd.error();
  struct flock range = whole_file();
  if (::fcntl(fd->get(), F_OFD_SETLK, &range) == 0) {
    return std::optional<FileLock>(FileLock(std::move(*fd)));
  }
  if (errno == EAGAIN || errno == EACCES) return std::optional<FileLock>();
  return errno_error(errno, fmt::format("lock {}", path.string()));
}

Result<FileLock> FileLock::acquire(const fs::path& path, std::chrono::milliseconds timeout) {
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + timeout;
  // The kernel has no timed wait for these locks; holders keep them for milliseconds.
  auto pause = std::chrono::microseconds(200);
  for (;;) {
    auto lock = try_acquire(path);
    if (!lock) return lock.error();
    if (*lock) return std::move(**lock);
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
  struct flock range = whole_file();
  if (::fcntl(fd->get(), F_OFD_GETLK, &range) != 0) {
    return errno_error(errno, fmt::format("query lock {}", path.string()));
  }
  return range.l_type != F_UNLCK;
}

}  // namespace ferry
