#include "http/protocol/server.h"

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
  std::unique_ptr<Stream> stream;
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

  /// TLS: nothing in the clear.
  void take(UniqueFd fd, const Tls* tls) {
    bury();
    auto stream = tls != nullptr ? tls->open_stream(fd.get()) : open_stream(fd.get());
    if (!stream) return;
    if (sessions_.size() >= limit_ && !make_room()) return turn_away(*stream);
    Session& session = sessions_.emplace_back(std::move(fd), std::move(stream));
    try {
      session.thread = std::thread([this, &session] {
        serve_connection(session.fd.get(), *session.stream, limits_, handler_, stop_,
                         session.idle_since);
        ::shutdown(session.fd.get(), SHUT_RDWR);
        session.ended = true;
      });
    } catch (const std::system_error& error) {
      log::warning("connection refused", {{"error", error.what()}});
      turn_away(*session.stream);
      sessions_.pop_back();
    }
  }

  /// Ends the connection that has been idle for the longest time. False: all are busy.
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
    return bury();
  }

 private:
  /// False: nobody has ended.
  bool bury() {
    const std::size_t buried = std::erase_if(sessions_, [](Session& session) {
      if (!session.ended) return false;
      session.thread.join();
      return true;
    });
    return buried > 0;
  }

  /// Who has yet to shake hands for TLS learns nothing.
  static void turn_away(Stream& stream) {
    const std::string text =
        to_wire(to_response({503, "busy", "all connections are taken", {{"Retry-After", "1"}}}),
                true, false);
    stream.write(text);
    stream.end();
  }

  std::size_t limit_;
  const ConnectionLimits& limits_;
  const Handler& handler_;
  const StopToken& stop_;
  std::list<Session> sessions_;
};

void reload(Tls* tls) {
  if (tls == nullptr) return;
  if (const auto reloaded = tls->reload(); !reloaded) {
    log::error("certificate not reloaded",
               {{"error", reloaded.error().message}, {"next", "the previous one stays in effect"}});
    return;
  }
  log::info("certificate reloaded");
}

}  // namespace

void serve_listeners(std::span<const Listener> listeners, const ServerOptions& options,
                     const Handler& handler, const StopToken& stop) {
  Crew crew(options.max_connections, options.limits, handler, stop);
  const int hangup_fd = options.hangup != nullptr ? options.hangup->fd() : -1;
  std::vector<pollfd> polled{{stop.fd(), POLLIN, 0}, {hangup_fd, POLLIN, 0}};
  const std::size_t first = polled.size();
  for (const Listener& listener : listeners) polled.push_back({listener.fd.get(), POLLIN, 0});
  while (!stop.stop_requested()) {
    if (::poll(polled.data(), polled.size(), -1) < 0) continue;
    if (options.hangup != nullptr && options.hangup->take()) reload(options.tls);
    for (std::size_t i = first; i < polled.size() && !stop.stop_requested(); ++i) {
      if (polled[i].revents == 0) continue;
      const Listener& listener = listeners[i - first];
      UniqueFd fd(::accept4(listener.fd.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (fd) {
        const int on = 1;
        if (!listener.is_unix) ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        crew.take(std::move(fd), listener.is_unix ? nullptr : options.tls);
      } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        if (!crew.make_room()) sleep_unless_stopped(kPauseWithoutDescriptors, stop);
      }
    }
  }
}

}  // namespace ferry::http
