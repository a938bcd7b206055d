// What `ferry upload` reads.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ferry/base/child_process.h"
#include "ferry/base/fd.h"
#include "ferry/base/file.h"
#include "ferry/base/result.h"
#include "ferry/base/stop.h"

namespace ferry::app {

/// A file, standard input, or what a command writes, read once from beginning to end.
class UploadInput {
 public:
  /// Standard input if NAME is "-". A FIFO is waited for by read.
  static Result<UploadInput> open(const std::string& name, const StopToken& stop);

  /// What COMMAND, a program and its arguments, writes to its standard output. It has our standard
  /// input (but for a terminal), our standard error, and our environment. It is killed if this goes
  /// before it has ended.
  static Result<UploadInput> run(const std::vector<std::string>& command);

  /// The next bytes; 0: there are no more. kAbnormal if a regular file changed while it was
  /// read, kFailed if a command ended with another status than 0, kCancelled after a stop.
  Result<std::size_t> read(std::span<std::byte> buffer, const StopToken& stop);

 private:
  UploadInput(std::string name, UniqueFd fd) : name_(std::move(name)), fd_(std::move(fd)) {}
  int fd() const;
  Result<void> wait_until_readable(int fd, const StopToken& stop) const;
  Result<std::size_t> end_of_file(const StopToken& stop) const;
  Error failed(int status) const;
  Result<std::size_t> end_of_command(const StopToken& stop) const;

  std::string name_;
  UniqueFd fd_;                            // none: standard input, or a command's output
  std::unique_ptr<ChildProcess> command_;  // null: a file
  std::optional<FileIdentity> identity_;   // of a regular file
  std::uint64_t offset_ = 0;
};

}  // namespace ferry::app
