#include "ferry/base/stop.h"
#include "ferry/base/event_fd.h"

#include <poll.h>
#include <signal.h>

#include <cerrno>
#include <cstdint>

namespace ferry {
namespace {

StopToken* signalled = nullptr;
ReloadRequest* reload = nullptr;

void on_signal(int number) {
  const int saved = errno;
  if (number == SIGINT && signalled->stop_requested()) ::_exit(130);
  signalled->request_stop();
  errno = saved;
}

void on_hangup(int) {
  const int saved = errno;
  reload->request();
  errno = saved;
}

void handle(int number, void (*handler)(int)) {
  struct sigaction action{};
  action.sa_handler = handler;
  ::sigaction(number, &action, nullptr);
}

void raise_event(int fd) {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(fd, &one, sizeof one);
}

}  // namespace

StopToken::StopToken() : fd_(make_event_fd()) {}

void StopToken::request_stop() {
  requested_.store(true, std::memory_order_relaxed);
  raise_event(fd_.get());
}

ReloadRequest::ReloadRequest() : fd_(make_event_fd()) {}

void ReloadRequest::request() {
  raise_event(fd_.get());
}

bool ReloadRequest::take() {
  std::uint64_t count = 0;
  return ::read(fd_.get(), &count, sizeof count) == sizeof count;
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
    handle(SIGINT, on_signal);
    handle(SIGTERM, on_signal);
    ::signal(SIGPIPE, SIG_IGN);
    ::signal(SIGXFSZ, SIG_IGN);  // what is too large for a limit is an error, as on a full disk
    return true;
  }();
  (void)installed;
  return token;
}

ReloadRequest& reload_on_hangup() {
  static ReloadRequest request;
  static const bool installed = [] {
    reload = &request;
    handle(SIGHUP, on_hangup);
    return true;
  }();
  (void)installed;
  return request;
}

}  // namespace ferry
