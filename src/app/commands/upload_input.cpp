#include "app/commands/upload_input.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "ferry/base/input.h"

namespace ferry::app {
namespace {

std::vector<std::string> whole_environment() {
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    variables.emplace_back(*variable);
  }
  return variables;
}

}  // namespace

Result<UploadInput> UploadInput::open(const std::string& name, const StopToken& stop) {
  if (name == "-") return UploadInput("standard input", UniqueFd());
  auto fd = open_input(name, stop);
  if (!fd) return fd.error();
  const auto status = stat_fd(fd->get(), name);
  if (!status) return status.error();
  if (S_ISDIR(status->st_mode)) {
    return make_error(ErrorKind::kInvalid, "{} is a directory: name the files in it", name);
  }
  UploadInput input(name, std::move(*fd));
  if (S_ISREG(status->st_mode)) input.identity_ = identity_of(*status);
  return input;
}

Result<UploadInput> UploadInput::run(const std::vector<std::string>& command) {
  // In a process group of its own it may not read from a terminal.
  const bool reads_ours = ::isatty(STDIN_FILENO) == 0;
  const UniqueFd input(reads_ours ? ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1)
                                  : ::open("/dev/null", O_RDONLY | O_CLOEXEC));
  auto child = ChildProcess::start({.argv = command,
                                    .environment = whole_environment(),
                                    .stdio = ChildOptions::Stdio::kPipes,
                                    .stdin_fd = input.get(),
                                    .inherits_stderr = true});
  // Not one of our arguments that is wrong, but a command that did not succeed.
  if (!child) return Error{ErrorKind::kFailed, child.error().message, child.error().os_code};
  UploadInput result(command.front(), UniqueFd());
  result.command_ = std::move(*child);
  return result;
}

int UploadInput::fd() const {
  if (command_) return command_->output();
  return fd_ ? fd_.get() : STDIN_FILENO;
}

/// A pipe may keep us waiting, and a stop must not; nor must whoever keeps the pipe of a command
/// that has failed.
Result<void> UploadInput::wait_until_readable(int fd, const StopToken& stop) const {
  const auto status = command_ ? command_->exit_status() : std::nullopt;
  if (status && *status != 0) return failed(*status);
  const int exit_fd = command_ && !status ? command_->exit_fd() : -1;
  std::array<pollfd, 3> wait{{{fd, POLLIN, 0}, {stop.fd(), POLLIN, 0}, {exit_fd, POLLIN, 0}}};
  if (::poll(wait.data(), wait.size(), -1) < 0 && errno != EINTR) {
    return errno_error(errno, fmt::format("wait for {}", name_));
  }
  if (stop.stop_requested()) return make_error(ErrorKind::kCancelled, "stopped");
  return {};
}

Result<std::size_t> UploadInput::read(std::span<std::byte> buffer, const StopToken& stop) {
  for (;;) {
    if (!identity_) {
      if (const auto waited = wait_until_readable(fd(), stop); !waited) return waited.error();
    }
    if (stop.stop_requested()) return make_error(ErrorKind::kCancelled, "stopped");
    const ssize_t count = ::read(fd(), buffer.data(), buffer.size());
    if (count == 0) return end_of_file(stop);
    if (count > 0) {
      offset_ += static_cast<std::uint64_t>(count);
      return static_cast<std::size_t>(count);
    }
    if (errno != EINTR && errno != EAGAIN) return errno_error(errno, fmt::format("read {}", name_));
  }
}

Result<std::size_t> UploadInput::end_of_file(const StopToken& stop) const {
  if (command_) return end_of_command(stop);
  if (!identity_) return std::size_t{0};
  const auto status = stat_fd(fd(), name_);
  if (!status) return status.error();
  if (identity_of(*status) == *identity_ && offset_ == identity_->size) return std::size_t{0};
  return make_error(ErrorKind::kAbnormal, "{} changed while it was read: upload it when it is done",
                    name_);
}

Error UploadInput::failed(int status) const {
  return make_error(ErrorKind::kFailed, "{}; nothing is registered",
                    describe_exit(name_, status, ""));
}

/// It has closed its output: whether that was all of it only its exit status tells.
Result<std::size_t> UploadInput::end_of_command(const StopToken& stop) const {
  for (;;) {
    if (const auto status = command_->exit_status()) {
      if (*status == 0) return std::size_t{0};
      return failed(*status);
    }
    if (auto waited = wait_until_readable(command_->exit_fd(), stop); !waited) {
      return waited.error();
    }
  }
}

}  // namespace ferry::app
