// Programs that filter stdin to stdout.
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "ferry/base/child_process.h"
#include "transfer/transform/transform.h"

namespace ferry::transfer {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr int kTemporaryFailure = 75;  // EX_TEMPFAIL of sysexits.h

/// SIGPIPE has to be ignored, as stop_on_signals() has it.
class FilterTransform final : public Transform {
 public:
  FilterTransform(std::unique_ptr<ChildProcess> child, std::string program, milliseconds time_limit,
                  const StopToken& stop)
      : child_(std::move(child)),
        program_(std::move(program)),
        time_limit_(time_limit),
        deadline_(Clock::now() + time_limit),
        stop_(stop) {}
  FilterTransform(const FilterTransform&) = delete;
  FilterTransform& operator=(const FilterTransform&) = delete;
  ~FilterTransform() override {
    if (!ended_) child_->kill();  // nobody wants its output
  }

  Result<void> write(std::span<const std::byte> data, const ByteSink& sink) override {
    while (!data.empty() && child_->input() >= 0) {
      const ssize_t count = ::write(child_->input(), data.data(), data.size());
      if (count >= 0) {
        data = data.subspan(static_cast<std::size_t>(count));
      } else if (errno == EPIPE || (errno == EAGAIN && child_->exit_status())) {
        child_->close_input();  // it has read enough; its exit status tells whether that is right
      } else if (errno == EAGAIN) {
        if (auto moved = move(true, sink); !moved) return moved;
      } else if (errno != EINTR) {
        return errno_error(errno, "write to " + program_);
      }
    }
    return {};
  }

  Result<void> finish(const ByteSink& sink) override {
    child_->close_input();
    while (!output_ended_ || !child_->exit_status()) {
      if (auto moved = move(false, sink); !moved) return moved;
    }
    child_->collect_stderr();
    ended_ = true;
    const int status = *child_->exit_status();
    if (status == 0) return {};
    return make_error(status == kTemporaryFailure ? ErrorKind::kBusy : ErrorKind::kFailed, "{}",
                      describe_exit(program_, status, child_->stderr_text()));
  }

 private:
  /// Waits until it takes input (where WANTS_INPUT) or there is something of it to take.
  Result<void> move(bool wants_input, const ByteSink& sink) {
    const auto left = std::chrono::ceil<milliseconds>(deadline_ - Clock::now());
    if (stop_.stop_requested()) return make_error(ErrorKind::kCancelled, "stopped");
    if (left.count() <= 0) {
      return make_error(ErrorKind::kFailed, "{}: it ran longer than {} s", program_,
                        std::chrono::duration<double>(time_limit_).count());
    }
    // Its input may be open in what it started.
    const bool minds_exit = output_ended_ || wants_input;
    std::array<pollfd, 5> fds{pollfd{wants_input ? child_->input() : -1, POLLOUT, 0},
                              pollfd{output_ended_ ? -1 : child_->output(), POLLIN, 0},
                              pollfd{child_->stderr_fd(), POLLIN, 0},
                              pollfd{minds_exit ? child_->exit_fd() : -1, POLLIN, 0},
                              pollfd{stop_.fd(), POLLIN, 0}};
    ::poll(fds.data(), fds.size(), static_cast<int>(std::min<long>(left.count(), 60'000)));
    child_->collect_stderr();
    return take_output(sink);
  }

  Result<void> take_output(const ByteSink& sink) {
    while (!output_ended_) {
      const ssize_t count = ::read(child_->output(), out_.data(), out_.size());
      if (count == 0) output_ended_ = true;
      if (count < 0 && errno == EAGAIN) return {};
      if (count < 0 && errno != EINTR) return errno_error(errno, "read from " + program_);
      if (count <= 0) continue;
      auto taken = sink(std::span(out_).first(static_cast<std::size_t>(count)));
      if (!taken) return taken;
    }
    return {};
  }

  std::unique_ptr<ChildProcess> child_;
  const std::string program_;
  const milliseconds time_limit_;
  const Clock::time_point deadline_;
  const StopToken& stop_;
  bool output_ended_ = false;
  bool ended_ = false;
  std::array<std::byte, 64 * 1024> out_;
};

std::vector<TransformMistake> check(const TransformSettings& settings) {
  if (!settings.command.empty()) return {};
  return {{"command", "'command' is missing: a program and its arguments, or give a 'type'"}};
}

Result<std::unique_ptr<Transform>> make(const TransformSettings& settings,
                                        const TransformedFile& file, const StopToken& stop) {
  auto child =
      ChildProcess::start({.argv = settings.command,
                           .environment = {"FERRY_PATH=" + file.path, "FERRY_ID=" + file.id},
                           .stdio = ChildOptions::Stdio::kPipes});
  if (!child) {
    Error error = child.error();
    error.kind = ErrorKind::kFailed;
    return error;
  }
  return std::make_unique<FilterTransform>(std::move(*child), settings.command[0],
                                           settings.time_limit, stop);
}

/// A program or a file that it is given is another one once it changed.
std::string fingerprint_of(const TransformSettings& settings) {
  std::string text = "command";
  for (const std::string& word : settings.command) {
    text += fmt::format(" {}:{}", word.size(), word);
    struct stat status{};
    if (!word.starts_with('/') || ::stat(word.c_str(), &status) != 0) continue;
    text += fmt::format("@{}.{}.{}", status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
  }
  return text;
}

}  // namespace

extern const TransformType kCommandType{.name = "command",
                                        .suffix = "",
                                        .needs_settings = true,
                                        .runs_command = true,
                                        .check = &check,
                                        .make = &make,
                                        .fingerprint = &fingerprint_of};

}  // namespace ferry::transfer
