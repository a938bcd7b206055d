// What `ferry upload` reads.
#pragma once

#include <optional>
#include <string>

#include "ferry/base/fd.h"
#include "ferry/base/file.h"
#include "ferry/base/result.h"
#include "ferry/base/stop.h"

namespace ferry::app {

/// A file, or standard input where its name is "-", read once from beginning to end.
class UploadInput {
 public:
  static Result<UploadInput> open(const std::string& name);

  /// The next bytes; 0: there are no more. kAbnormal where a regular file changed while it was
  /// read, kCancelled after a stop.
  Result<std::size_t> read(std::span<std::byte> buffer, const StopToken& stop);

 private:
  UploadInput(std::string name, UniqueFd fd) : name_(std::move(name)), fd_(std::move(fd)) {}
  int fd() const { return fd_ ? fd_.get() : 0; }
  Result<std::size_t> end_of_file() const;

  std::string name_;
  UniqueFd fd_;                           // none: standard input
  std::optional<FileIdentity> identity_;  // of a regular file
  std::uint64_t offset_ = 0;
};

}  // namespace ferry::app
