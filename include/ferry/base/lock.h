// Advisory locks that die with their holder.
//
// Open-file-description locks (fcntl(2), F_OFD_SETLK): they belong to the open file, so two holders
// in one process exclude each other, and the kernel frees them however the process ends. The lock
// file is created where missing and never removed by this class.
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
  /// Nothing where another holds it.
  static Result<std::optional<FileLock>> try_acquire(const fs::path& path);
  /// True while somebody holds the lock; false also where there is no such file.
  static Result<bool> is_held(const fs::path& path);

 private:
  explicit FileLock(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace ferry
