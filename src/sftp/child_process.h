// A child process in a process group of its own: a socket is its stdin and stdout, and the end of
// what it says on stderr is kept.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ferry/base/fd.h"
#include "ferry/base/result.h"

namespace ferry::sftp {

class ChildProcess {
 public:
  /// ARGV[0] is looked up in $PATH: kNotFound where it is not there.
  static Result<std::unique_ptr<ChildProcess>> start(const std::vector<std::string>& argv);

  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  /// Closes its input and waits, a second at most; then kills what is left of the group, and reaps
  /// the child.
  ~ChildProcess();

  int stream() const { return stream_.get(); }     // non-blocking
  int stderr_fd() const { return stderr_.get(); }  // likewise; -1: closed by the child
  int exit_fd() const { return pidfd_.get(); }     // readable from its end on

  /// Takes what is there from stderr; the child stands still while the pipe is full.
  void collect_stderr();
  const std::string& stderr_text() const { return stderr_text_; }  // the last few KiB

  bool wait_for_exit(std::chrono::milliseconds limit) const;
  /// Where it has ended by itself: its exit status, or 128 + the signal.
  std::optional<int> exit_status() const;

 private:
  ChildProcess() = default;

  UniqueFd stream_;
  UniqueFd stderr_;
  UniqueFd pidfd_;
  pid_t pid_ = -1;
  std::string stderr_text_;
};

}  // namespace ferry::sftp
