// Programs that we run: argv without a shell, in a process group of their own, with no descriptors
// of ours but the three standard ones, default signals, and the end of what they say on stderr
// kept.
//
// Their environment is made for them, so that nothing gets there by accident: of ours they have
// PATH, HOME, USER, LOGNAME, SHELL, LANG, LANGUAGE, LC_*, TZ, TMPDIR and TERM, if these are set.
//
// ChildProcess is for those who talk with a program for long; run_command runs one to its end.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ferry/base/fd.h"
#include "ferry/base/result.h"
#include "ferry/base/stop.h"

namespace ferry {

struct ChildOptions {
  std::vector<std::string> argv;              // argv[0] is looked up in $PATH
  std::vector<std::string> environment = {};  // "NAME=value": besides, or instead of, the above
  enum class Stdio : std::uint8_t {
    kSocket,  // one socket is stdin and stdout
    kPipes,   // one pipe each; writing to one whose reader is gone raises SIGPIPE unless ignored
  };
  Stdio stdio = Stdio::kSocket;
  int stdin_fd = -1;             // with kPipes: stdin is this open file instead of a pipe
  bool inherits_stderr = false;  // what it says goes to ours, and nothing of it is kept
};

class ChildProcess {
 public:
  /// kNotFound and kDenied if there is no such program, or it may not be run; kInvalid if none is
  /// named.
  static Result<std::unique_ptr<ChildProcess>> start(const ChildOptions& options);

  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  /// Closes its input and waits, a second at most; then kills what is left of the group, and reaps
  /// the child.
  ~ChildProcess();

  // Our ends, non-blocking; -1 once closed.
  int input() const { return stdio_ == ChildOptions::Stdio::kSocket ? output() : input_.get(); }
  int output() const { return output_.get(); }
  int stderr_fd() const { return stderr_.get(); }
  int exit_fd() const { return pidfd_.get(); }  // readable from its end on

  /// kPipes: the end of its input.
  void close_input() { input_.reset(); }

  /// Takes what is there from stderr; the child stands still while the pipe is full.
  void collect_stderr();
  const std::string& stderr_text() const { return stderr_text_; }  // the last few KiB

  bool wait_for_exit(std::chrono::milliseconds limit) const;
  /// If it has ended: its exit status, or, negative, the signal that ended it.
  std::optional<int> exit_status() const;
  /// SIGKILL for the whole group: no grace.
  void kill() const;

 private:
  explicit ChildProcess(ChildOptions::Stdio stdio) : stdio_(stdio) {}

  const ChildOptions::Stdio stdio_;
  UniqueFd input_;
  UniqueFd output_;
  UniqueFd stderr_;
  UniqueFd pidfd_;
  pid_t pid_ = -1;
  std::string stderr_text_;
};

/// The file that start() would run for NAME, a path or looked up in $PATH. kNotFound; kDenied if
/// it is there and may not be run.
Result<std::string> find_program(const std::string& name);

struct CommandResult {
  int status = 0;           // exit status, or, negative, the signal that ended it
  std::string output;       // the first 64 KiB of stdout
  std::string stderr_text;  // the last few KiB
};

/// Runs a command to its end. Its stdin is STDIN_FD, read from where it stands, or /dev/null for
/// -1. Errors: as for start; kFailed if it runs longer than TIME_LIMIT, kCancelled if STOP
/// comes first: then its process group is killed.
Result<CommandResult> run_command(const std::vector<std::string>& argv,
                                  const std::vector<std::string>& environment, int stdin_fd,
                                  std::chrono::milliseconds time_limit, const StopToken& stop);

/// For messages: "NAME: exit status 3: last line on stderr", "NAME: killed by signal 9". STATUS is
/// as CommandResult has it.
std::string describe_exit(const std::string& name, int status, const std::string& stderr_text);

}  // namespace ferry
