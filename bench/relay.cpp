#include "relay.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>

namespace ferry::bench {
namespace {

/// At one go, so that connections and directions take turns.
constexpr std::size_t kTurn = 1 << 20;

void close_with_reset(UniqueFd& fd) {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  fd.reset();
}

void close_with_finish(UniqueFd& fd) {
  ::shutdown(fd.get(), SHUT_RDWR);
  fd.reset();
}

}  // namespace

void Endpoint::on_events(std::uint32_t events) {
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) readable = true;
  if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) writable = true;
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) hung_up = true;
}

Relay::Relay(UniqueFd client, UniqueFd server, const LineOptions& line, std::optional<Fault> fault)
    : client_{.fd = std::move(client)},
      server_{.fd = std::move(server)},
      delay_(line.delay),
      fault_(fault),
      to_server_{.source = client_, .sink = server_, .buffer = LineBuffer(line.in_flight)},
      to_client_{.source = server_, .sink = client_, .buffer = LineBuffer(line.in_flight)} {}

bool Relay::advance(Clock::time_point now, Totals& totals, FaultPlan& plan) {
  bool again = false;
  for (Direction* direction : {&to_server_, &to_client_}) {
    if (ended() || stalled_) break;
    again = receive(*direction, now) || again;
    std::uint64_t& total = direction == &to_server_ ? totals.to_server : totals.to_client;
    if (!ended()) again = forward(*direction, now, total, plan) || again;
  }
  if (ended()) return false;
  const bool is_over =
      stalled_ ? client_.hung_up || server_.hung_up : to_server_.closed && to_client_.closed;
  if (is_over) cut(FaultKind::kFinish);
  return again && !ended() && !stalled_;
}

bool Relay::receive(Direction& direction, Clock::time_point now) {
  if (direction.source_ended || !direction.source.readable || direction.buffer.full()) return false;
  const auto room = direction.buffer.room();
  const auto size =
      ::recv(direction.source.fd.get(), room.data(), std::min(room.size(), kTurn), MSG_DONTWAIT);
  if (size > 0) {
    direction.buffer.commit(static_cast<std::size_t>(size), now + delay_);
    return true;
  }
  if (size == 0) {
    direction.source_ended = true;
  } else if (errno == EAGAIN) {
    direction.source.readable = false;
  } else if (errno != EINTR) {
    cut(FaultKind::kReset);
  }
  return false;
}

bool Relay::forward(Direction& direction, Clock::time_point now, std::uint64_t& total,
                    FaultPlan& plan) {
  const auto due = direction.buffer.due(now);
  const auto size = std::min<std::uint64_t>({due.size(), kTurn, until_fault(direction)});
  if (size == 0 || !direction.sink.writable) {
    if (direction.source_ended && direction.buffer.empty() && !direction.closed) {
      ::shutdown(direction.sink.fd.get(), SHUT_WR);
      direction.closed = true;
    }
    return false;
  }
  const auto sent = ::send(direction.sink.fd.get(), due.data(), size, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent > 0) {
    direction.buffer.consume(static_cast<std::size_t>(sent));
    direction.forwarded += static_cast<std::uint64_t>(sent);
    total += static_cast<std::uint64_t>(sent);
    if (until_fault(direction) == 0) strike(plan);
    return true;
  }
  if (errno == EAGAIN) {
    direction.sink.writable = false;
  } else if (errno != EINTR) {
    cut(FaultKind::kReset);
  }
  return false;
}

std::uint64_t Relay::until_fault(const Direction& direction) const {
  constexpr auto kNever = std::numeric_limits<std::uint64_t>::max();
  if (!fault_) return kNever;
  if (fault_->counted == Counted::kToClient) {
    return &direction == &to_client_ ? fault_->after - to_client_.forwarded : kNever;
  }
  return fault_->after - to_server_.forwarded - to_client_.forwarded;
}

void Relay::strike(FaultPlan& plan) {
  const FaultKind kind = fault_->kind;
  fault_.reset();
  if (!plan.may_strike()) return;
  if (kind == FaultKind::kStall) {
    stalled_ = true;
  } else {
    cut(kind);
  }
}

std::optional<Clock::time_point> Relay::next_due() const {
  if (stalled_) return std::nullopt;
  const auto one = to_server_.buffer.next_due();
  const auto other = to_client_.buffer.next_due();
  if (!one || !other) return one ? one : other;
  return std::min(*one, *other);
}

void Relay::cut(FaultKind kind) {
  const auto close = kind == FaultKind::kReset ? close_with_reset : close_with_finish;
  close(client_.fd);
  close(server_.fd);
}

}  // namespace ferry::bench
