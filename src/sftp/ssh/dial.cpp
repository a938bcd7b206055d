#include "sftp/ssh/dial.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <memory>

namespace ferry::sftp {
namespace {

using AddressList = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

// What a dead line may cost: unacknowledged data and silence both end the connection.
constexpr int kUserTimeoutMs = 60'000;
constexpr int kKeepAliveIdleSeconds = 30;
constexpr int kKeepAliveIntervalSeconds = 10;
constexpr int kKeepAliveProbes = 3;

Result<AddressList> resolve(const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int code = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (code != 0) {
    return make_error(ErrorKind::kUnreachable, "look up host {}: {}", host, ::gai_strerror(code));
  }
  return AddressList(found, &::freeaddrinfo);
}

void set_option(int fd, int level, int name, int value) {
  ::setsockopt(fd, level, name, &value, sizeof value);
}

void tune(int fd) {
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, kUserTimeoutMs);
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, kKeepAliveIdleSeconds);
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, kKeepAliveIntervalSeconds);
  set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, kKeepAliveProbes);
}

Error unreachable(int os_code, const std::string& what) {
  Error error = errno_error(os_code, what);
  error.kind = ErrorKind::kUnreachable;
  return error;
}

Result<UniqueFd> connect_to(const addrinfo& address, const std::string& what,
                            std::chrono::milliseconds timeout, const StopToken& stop) {
  UniqueFd socket(::socket(address.ai_family, address.ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC,
                           address.ai_protocol));
  if (!socket) return unreachable(errno, what);
  tune(socket.get());
  if (::connect(socket.get(), address.ai_addr, address.ai_addrlen) == 0) return socket;
  if (errno != EINPROGRESS && errno != EINTR) return unreachable(errno, what);

  switch (wait_for(socket.get(), POLLOUT, Clock::now() + timeout, stop)) {
    case WaitResult::kStopped:
      return cancelled(what);
    case WaitResult::kTimedOut:
      return timed_out(what, timeout);
    case WaitResult::kReady:
      break;
  }
  int failure = 0;
  socklen_t size = sizeof failure;
  ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &failure, &size);
  if (failure != 0) return unreachable(failure, what);
  return socket;
}

}  // namespace

WaitResult wait_for(int fd, short events, Clock::time_point deadline, const StopToken& stop) {
  for (;;) {
    if (stop.stop_requested()) return WaitResult::kStopped;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return WaitResult::kTimedOut;
    std::array<pollfd, 2> fds{pollfd{fd, events, 0}, pollfd{stop.fd(), POLLIN, 0}};
    const int timeout = static_cast<int>(std::min<long long>(left, INT_MAX));
    if (::poll(fds.data(), fds.size(), timeout) > 0 && fds[0].revents != 0) {
      return WaitResult::kReady;
    }
  }
}

std::string peer_name(const std::string& host, std::uint16_t port) {
  return host.contains(':') ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

std::string seconds_text(std::chrono::milliseconds time) {
  return fmt::format("{:g} s", static_cast<double>(time.count()) / 1000);
}

Error timed_out(const std::string& what, std::chrono::milliseconds timeout) {
  return make_error(ErrorKind::kUnreachable, "{}: timed out: no answer within {}", what,
                    seconds_text(timeout));
}

Error cancelled(const std::string& what) {
  return make_error(ErrorKind::kCancelled, "{}: asked to stop", what);
}

Result<UniqueFd> dial(const std::string& host, std::uint16_t port,
                      std::chrono::milliseconds timeout, const StopToken& stop) {
  const std::string what = "connect to " + peer_name(host, port);
  if (stop.stop_requested()) return cancelled(what);
  const auto addresses = resolve(host, port);
  if (!addresses) return addresses.error();

  Result<UniqueFd> socket = make_error(ErrorKind::kUnreachable, "{}: no address", what);
  for (const addrinfo* address = addresses->get(); address != nullptr; address = address->ai_next) {
    socket = connect_to(*address, what, timeout, stop);
    if (socket || socket.error().kind == ErrorKind::kCancelled) break;
  }
  return socket;
}

}  // namespace ferry::sftp
