// Advisory locks that die with their holder.
//
// Open-file-description locks (fcntl(2), F_OFD_SETLK): they belong to the open file, so two holders
// in one process exclude each other, and the kernel frees them however the process ends. The lock
// file is created if it is missing, for its owner only (whoever may read a file can keep others
// from locking it), and never removed by this class.
#pragma once

#include <chrono>
#include <optional>

#include "ferry/base/fd.h"
#include "ferry/base/file.h"
#include "ferry/base/result.h"

namespace ferry {

class FileLock {
 public:
  /// Waits up to TIMEOUT; then kBusy.
  static Result<FileLock> acquire(const fs::path& path, std::chrono::milliseconds timeout);
  /// Nothing if another holds it.
  static Result<std::optional<FileLock>> try_acquire(const fs::path& path);
  /// True while somebody holds the lock; false also if there is no such file.
  static Result<bool> is_held(const fs::path& path);

  // The same for a file that is open: for writing, where it is to be locked.
  static Result<FileLock> acquire(UniqueFd fd, const fs::path& path_for_messages,
                                  std::chrono::milliseconds timeout);
  static Result<std::optional<FileLock>> try_acquire(UniqueFd fd,
                                                     const fs::path& path_for_messages);
  static Result<bool> is_held(int fd, const fs::path& path_for_messages);

  /// Of the file that is locked.
  int fd() const { return fd_.get(); }

 private:
  explicit FileLock(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace ferry
