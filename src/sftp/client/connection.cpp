#include "sftp/client/connection.h"

#include <algorithm>

#include "sftp/client/window.h"

namespace ferry::sftp {
namespace {

using Clock = std::chrono::steady_clock;

/// Requests that wait in our own memory for the channel: enough to keep it busy, no more.
constexpr std::size_t kMaxQueuedBytes = 512 * 1024;
constexpr std::size_t kReceiveBytes = 64 * 1024;
/// Takes what nobody waits for any more.
class Nobody final : public ReplySink {
 public:
  void on_reply(std::uint32_t, Result<wire::Packet>) override {}
};

}  // namespace

Client::Connection::Connection(std::unique_ptr<Channel> channel, const ClientOptions& options,
                               EventLoop& loop)
    : channel_(std::move(channel)), options_(options), loop_(loop), failed_(loop) {
  loop_.add(*this);
}

void Client::Connection::expect(std::uint32_t id, ReplySink& sink, std::size_t window_bytes) {
  const auto now = Clock::now();
  if (expected_.empty()) last_progress_ = now;  // until now the server owed us nothing
  expected_.push_back({id, &sink, window_bytes, now});
  window_used_ += window_bytes;
}

std::uint32_t Client::Connection::ask(wire::PacketType type, std::string_view argument) {
  const std::uint32_t id = next_id();
  wire::append_simple(out_, type, id, argument);
  return id;
}

std::uint32_t Client::Connection::ask(std::string_view extension,
                                      std::initializer_list<std::string_view> arguments) {
  const std::uint32_t id = next_id();
  wire::append_extended(out_, id, extension, arguments);
  return id;
}

std::optional<Client::Connection::Expected> Client::Connection::take_expected(std::uint32_t id) {
  if (expected_.empty()) return std::nullopt;
  const std::uint32_t index = id - expected_.front().id;  // also where ids start over
  if (index >= expected_.size() || expected_[index].sink == nullptr) return std::nullopt;
  const Expected taken = expected_[index];
  expected_[index].sink = nullptr;
  while (!expected_.empty() && expected_.front().sink == nullptr) expected_.pop_front();
  window_used_ -= taken.window_bytes;
  return taken;
}

void Client::Connection::forget(std::uint32_t id) {
  static Nobody nobody;
  if (expected_.empty()) return;
  const std::uint32_t index = id - expected_.front().id;
  if (index < expected_.size() && expected_[index].sink != nullptr) expected_[index].sink = &nobody;
}

bool Client::Connection::has_room(std::size_t bytes) const {
  if (out_.size() >= kMaxQueuedBytes) return false;
  return window_used_ == 0 ||
         window_used_ + bytes <= useful_window(round_trip_, options_.window_bytes);
}

bool Client::Connection::serve() {
  if (error_) return false;
  const auto moved = exchange_bytes();
  if (!moved) {
    fail(moved.error());
    return true;
  }
  if (*moved) {
    last_progress_ = Clock::now();
  } else if (Clock::now() >= deadline()) {
    fail(overdue());
    return true;
  }
  return *moved;
}

EventLoop::Time Client::Connection::add_poll_fds(std::vector<pollfd>& fds) {
  if (error_) return EventLoop::Time::max();
  channel_->add_poll_fds(!out_.empty(), fds);
  return deadline();
}

/// Reading comes first: it may open the channel's window without giving us a byte, and the write
/// that follows is what makes use of that.
Result<bool> Client::Connection::exchange_bytes() {
  auto received = receive();
  if (!received) return received;
  auto sent = flush();
  if (!sent) return sent;
  give_room();
  return *sent || *received;
}

Result<bool> Client::Connection::flush() {
  bool any = false;
  while (!out_.empty()) {
    const auto written = channel_->write(out_.data());
    if (!written) return written.error();
    if (*written == 0) break;
    out_.consume(*written);
    any = true;
  }
  return any;
}

Result<bool> Client::Connection::receive() {
  bool any = false;
  for (;;) {
    const auto space = in_.prepare(kReceiveBytes);
    const auto count = channel_->read(space.first(kReceiveBytes));
    if (!count) return count.error();
    if (*count == 0) return any;
    any = true;
    in_.commit(*count);
    for (;;) {
      const auto size = wire::packet_size(in_.data());
      if (!size) return size.error();
      if (*size == 0) break;
      if (auto done = dispatch(in_.data().first(*size)); !done) return done.error();
      in_.consume(*size);
    }
  }
}

Result<void> Client::Connection::dispatch(std::span<const std::byte> bytes) {
  const auto packet = wire::parse_packet(bytes);
  if (!packet) return packet.error();
  const std::uint32_t id = packet->type == wire::PacketType::kVersion ? kVersionId : packet->id;
  const auto expected = take_expected(id);
  if (!expected) {
    return make_error(ErrorKind::kProtocol,
                      "the server sent a packet of type {} with id {}, which answers no request",
                      static_cast<int>(packet->type), id);
  }
  round_trip_ = std::min<std::chrono::nanoseconds>(round_trip_, Clock::now() - expected->asked);
  expected->sink->on_reply(id, *packet);
  if (error_) return *error_;
  if (expected->window_bytes > 0) give_room();
  return {};
}

void Client::Connection::give_room() {
  while (!room_waiters_.empty() && has_room(room_waiters_.begin()->second.bytes)) {
    RoomSink* sink = room_waiters_.begin()->second.sink;
    room_waiters_.erase(room_waiters_.begin());
    sink->on_room();
  }
}

/// By when the server must have answered.
EventLoop::Time Client::Connection::deadline() {
  if (expected_.empty() && out_.empty()) return EventLoop::Time::max();
  auto deadline = last_progress_ + options_.stall_timeout;
  if (loop_.stop().stop_requested()) {
    if (!stop_deadline_) stop_deadline_ = Clock::now() + options_.stop_grace;
    deadline = std::min(deadline, *stop_deadline_);
  }
  return deadline;
}

Error Client::Connection::overdue() const {
  if (stop_deadline_) return make_error(ErrorKind::kCancelled, "stopped");
  return make_error(
      ErrorKind::kConnectionLost, "the server did not answer for {} s",
      std::chrono::duration_cast<std::chrono::seconds>(options_.stall_timeout).count());
}

void Client::Connection::fail(const Error& error) {
  if (!error_) error_ = error;
  // A task that is resumed here may start others; they see error() and wait for nothing.
  while (!expected_.empty()) {
    const auto first = take_expected(expected_.front().id);
    first->sink->on_reply(first->id, *error_);
  }
  while (!room_waiters_.empty()) {
    RoomSink* sink = room_waiters_.begin()->second.sink;
    room_waiters_.erase(room_waiters_.begin());
    sink->on_room();
  }
  failed_.notify_all();
}

}  // namespace ferry::sftp
