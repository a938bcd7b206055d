#include "http/server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <list>
#include <system_error>
#include <thread>

#include "ferry/base/log.h"

namespace ferry::http {
namespace {

constexpr std::chrono::milliseconds kPauseWithoutDescriptors{100};
/// Until a connection that was told to end has done so.
constexpr std::chrono::milliseconds kEvictionTime{500};

struct Session {
  UniqueFd fd;
  IdleSince idle_since{std::chrono::steady_clock::now().time_since_epoch().count()};
  std::atomic<bool> ended{false};
  std::thread thread{};
};

class Crew {
 public:
  Crew(std::size_t limit, const ConnectionLimits& limits, const Handler& handler,
       const StopToken& stop)
      : limit_(limit), limits_(limits), handler_(handler), stop_(stop) {}

  ~Crew() {
    for (Session& session : sessions_) session.thread.join();
  }

  void take(UniqueFd fd) {
    bury();
    if (sessions_.size() >= limit_ && !make_room()) return turn_away(fd.get());
    Session& session = sessions_.emplace_back(std::move(fd));
    try {
      session.thread = std::thread([this, &session] {
        serve_connection(session.fd.get(), limits_, handler_, stop_, session.idle_since);
        ::shutdown(session.fd.get(), SHUT_RDWR);
        session.ended = true;
      });
    } catch (const std::system_error& error) {
      log::warning("connection refused", {{"error", error.what()}});
      turn_away(session.fd.get());
      sessions_.pop_back();
    }
  }

 private:
  void bury() {
    std::erase_if(sessions_, [](Session& session) {
      if (!session.ended) return false;
      session.thread.join();
      return true;
    });
  }

  /// Ends the connection that has been idle for the longest time.
  bool make_room() {
    Session* longest = nullptr;
    for (Session& session : sessions_) {
      const auto since = session.idle_since.load();
      if (since == 0) continue;
      if (longest == nullptr || since < longest->idle_since.load()) longest = &session;
    }
    if (longest == nullptr) return false;
    ::shutdown(longest->fd.get(), SHUT_RDWR);
    const auto deadline = std::chrono::steady_clock::now() + kEvictionTime;
    while (!longest->ended && std::chrono::steady_clock::now() < deadline) {
      if (!sleep_unless_stopped(std::chrono::milliseconds(1), stop_)) break;
    }
    bury();
    return sessions_.size() < limit_;
  }

  static void turn_away(int fd) {
    const std::string text =
        to_wire(to_response({503, "busy", "all connections are taken", {{"Retry-After", "1"}}}),
                true, false);
    ::send(fd, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  }

  std::size_t limit_;
  const ConnectionLimits& limits_;
  const Handler& handler_;
  const StopToken& stop_;
  std::list<Session> sessions_;
};

bool is_v6(const Address& address) {
  return address.host.contains(':');
}

socklen_t to_socket_address(const Address& address, sockaddr_storage& storage) {
  storage = {};
  if (is_v6(address)) {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(storage);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(address.port);
    return ::inet_pton(AF_INET6, address.host.c_str(), &v6.sin6_addr) == 1 ? sizeof v6 : 0;
  }
  auto& v4 = reinterpret_cast<sockaddr_in&>(storage);
  v4.sin_family = AF_INET;
  v4.sin_port = htons(address.port);
  return ::inet_pton(AF_INET, address.host.c_str(), &v4.sin_addr) == 1 ? sizeof v4 : 0;
}

std::uint16_t port_of(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return 0;
  return ntohs(storage.ss_family == AF_INET6
                   ? reinterpret_cast<const sockaddr_in6&>(storage).sin6_port
                   : reinterpret_cast<const sockaddr_in&>(storage).sin_port);
}

Error listen_error(int error, const Address& address) {
  Error result = errno_error(error, fmt::format("listen on {}", address.to_string()));
  if (error == EADDRINUSE) result.kind = ErrorKind::kFailed;
  if (error == EADDRNOTAVAIL) result.kind = ErrorKind::kInvalid;
  return result;
}

}  // namespace

Result<Listener> listen_at(const Address& address) {
  sockaddr_storage storage;
  const socklen_t size = to_socket_address(address, storage);
  if (size == 0) {
    return make_error(ErrorKind::kInvalid, "listen on {}: it is not an IP address",
                      address.to_string());
  }
  UniqueFd fd(::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return listen_error(errno, address);
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (is_v6(address)) ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&storage), size) != 0 ||
      ::listen(fd.get(), SOMAXCONN) != 0) {
    return listen_error(errno, address);
  }
  Address bound = address;
  bound.port = port_of(fd.get());
  return Listener{std::move(fd), "http://" + bound.to_string() + "/"};
}

void serve_listeners(std::span<const Listener> listeners, std::size_t max_connections,
                     const ConnectionLimits& limits, const Handler& handler,
                     const StopToken& stop) {
  Crew crew(max_connections, limits, handler, stop);
  std::vector<pollfd> polled{{stop.fd(), POLLIN, 0}};
  for (const Listener& listener : listeners) polled.push_back({listener.fd.get(), POLLIN, 0});
  while (!stop.stop_requested()) {
    if (::poll(polled.data(), polled.size(), -1) < 0) continue;
    for (std::size_t i = 1; i < polled.size() && !stop.stop_requested(); ++i) {
      if (polled[i].revents == 0) continue;
      UniqueFd fd(::accept4(polled[i].fd, nullptr, nullptr, SOCK_CLOEXEC));
      if (fd) {
        const int on = 1;
        ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        crew.take(std::move(fd));
      } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        sleep_unless_stopped(kPauseWithoutDescriptors, stop);
      }
    }
  }
}

}  // namespace ferry::http
