#include "ferry/base/stop.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>

#include <cerrno>
#include <cstdint>

namespace ferry {
namespace {

StopToken* signalled = nullptr;

void on_signal(int number) {
  const int saved = errno;
  if (number == SIGINT && signalled->stop_requested()) ::_exit(130);
  signalled->request_stop();
  errno = saved;
}

}  // namespace

StopToken::StopToken() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void StopToken::request_stop() {
  requested_.store(true, std::memory_order_relaxed);
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(fd_.get(), &one, sizeof one);
}

bool sleep_unless_stopped(std::chrono::milliseconds time, const StopToken& stop) {
  const auto end = std::chrono::steady_clock::now() + time;
  while (!stop.stop_requested()) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    if (left.count() <= 0) return true;
    pollfd fd{stop.fd(), POLLIN, 0};
    ::poll(&fd, 1, static_cast<int>(left.count()));
  }
  return false;
}

StopToken& stop_on_signals() {
  static StopToken token;
  static const bool installed = [] {
    signalled = &token;
    struct sigaction action{};
    action.sa_handler = on_signal;
    ::sigaction(SIGINT, &action, nullptr);
    ::sigaction(SIGTERM, &action, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
    return true;
  }();
  (void)installed;
  return token;
}

}  // namespace ferry
