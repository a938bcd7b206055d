// line_proxy: a TCP line on 127.0.0.1 that is slow, cut or stalled as asked, and counts its bytes.
// SIGUSR1 cuts all connections, SIGUSR2 writes the counts, SIGTERM ends it.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <exception>
#include <list>
#include <system_error>

#include "fault_plan.h"
#include "proxy_options.h"
#include "relay.h"

namespace ferry::bench {
namespace {

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

UniqueFd checked(int fd, const char* what) {
  if (fd < 0) fail(what);
  return UniqueFd(fd);
}

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

void set_option(int fd, int level, int name) {
  const int on = 1;
  ::setsockopt(fd, level, name, &on, sizeof on);
}

UniqueFd listen_at(std::uint16_t port) {
  UniqueFd fd = checked(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket");
  set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR);
  sockaddr_in address = loopback(port);
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) fail("bind");
  if (::listen(fd.get(), SOMAXCONN) != 0) fail("listen");
  return fd;
}

std::uint16_t port_of(int fd) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) fail("getsockname");
  return ntohs(address.sin_port);
}

/// None where nobody listens there.
UniqueFd connect_to(std::uint16_t port) {
  UniqueFd fd = checked(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  sockaddr_in address = loopback(port);
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return {};
  return fd;
}

UniqueFd take_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGTERM, SIGINT, SIGUSR1, SIGUSR2}) sigaddset(&signals, number);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  return checked(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK), "signalfd");
}

class Proxy {
 public:
  explicit Proxy(ProxyOptions options)
      : options_(std::move(options)),
        plan_(options_.faults),
        epoll_(checked(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")),
        signals_(take_signals()),
        listener_(listen_at(options_.port)) {
    watch(signals_.get(), EPOLLIN, &signals_);
    watch(listener_.get(), EPOLLIN, &listener_);
  }

  std::uint16_t port() const { return port_of(listener_.get()); }

  void run() {
    while (!stopping_) {
      wait();
      advance();
      if (counts_are_due()) write_counts();
    }
    write_counts();
  }

 private:
  static constexpr auto kCountInterval = std::chrono::milliseconds(50);

  void watch(int fd, std::uint32_t events, void* tag) {
    epoll_event event{.events = events, .data = {.ptr = tag}};
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) fail("epoll_ctl");
  }

  void wait() {
    std::array<epoll_event, 64> events;
    const timespec timeout = time_to_wait();
    const int count = ::epoll_pwait2(epoll_.get(), events.data(), events.size(), &timeout, nullptr);
    if (count < 0 && errno != EINTR) fail("epoll_pwait2");
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      if (event.data.ptr == &listener_) {
        accept_all();
      } else if (event.data.ptr == &signals_) {
        take_signal();
      } else {
        static_cast<Endpoint*>(event.data.ptr)->on_events(event.events);
      }
    }
  }

  timespec time_to_wait() const {
    using namespace std::chrono;
    if (again_) return {};
    nanoseconds shortest = kCountInterval;
    const auto now = Clock::now();
    for (const Relay& relay : relays_) {
      const auto due = relay.next_due();
      if (due) shortest = std::clamp(nanoseconds(*due - now), nanoseconds(0), shortest);
    }
    return {.tv_sec = 0, .tv_nsec = shortest.count()};
  }

  void accept_all() {
    while (true) {
      UniqueFd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!client) return;
      UniqueFd server = connect_to(options_.target);
      if (!server) continue;
      ++totals_.connections;
      set_option(client.get(), IPPROTO_TCP, TCP_NODELAY);
      set_option(server.get(), IPPROTO_TCP, TCP_NODELAY);
      Relay& relay =
          relays_.emplace_back(std::move(client), std::move(server), options_.line, plan_.next());
      for (Endpoint* end : {&relay.client(), &relay.server()}) {
        watch(end->fd.get(), EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, end);
      }
    }
  }

  void take_signal() {
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
      if (info.ssi_signo == SIGUSR1) {
        for (Relay& relay : relays_) relay.cut(FaultKind::kReset);
      } else if (info.ssi_signo == SIGUSR2) {
        write_counts();
      } else {
        stopping_ = true;
      }
    }
  }

  void advance() {
    again_ = false;
    const auto now = Clock::now();
    for (Relay& relay : relays_) again_ = relay.advance(now, totals_, plan_) || again_;
    relays_.remove_if([](const Relay& relay) { return relay.ended(); });
  }

  bool counts_are_due() const {
    return totals_ != written_ && Clock::now() - written_at_ >= kCountInterval;
  }

  void write_counts() {
    written_ = totals_;
    written_at_ = Clock::now();
    if (options_.count_file.empty()) return;
    const std::string temporary = options_.count_file + ".tmp";
    std::FILE* file = std::fopen(temporary.c_str(), "we");
    if (file == nullptr) fail("count file");
    fmt::print(file,
               "{{\"to_server\": {}, \"to_client\": {}, \"connections\": {}, \"faults\": {}}}\n",
               totals_.to_server, totals_.to_client, totals_.connections, plan_.struck());
    std::fclose(file);
    if (std::rename(temporary.c_str(), options_.count_file.c_str()) != 0) fail("count file");
  }

  ProxyOptions options_;
  FaultPlan plan_;
  UniqueFd epoll_;
  UniqueFd signals_;
  UniqueFd listener_;
  std::list<Relay> relays_;
  Totals totals_;
  Totals written_;
  Clock::time_point written_at_;
  bool again_ = false;
  bool stopping_ = false;
};

}  // namespace
}  // namespace ferry::bench

int main(int argc, char** argv) {
  try {
    auto options = ferry::bench::parse_options(argc, argv);
    if (!options) return 0;
    ferry::bench::Proxy proxy(std::move(*options));
    fmt::print("listening {}\n", proxy.port());
    std::fflush(stdout);
    proxy.run();
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "line_proxy: {}\n", error.what());
    return 1;
  }
}
