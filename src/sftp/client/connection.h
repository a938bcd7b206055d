// Packets in flight on one channel: queues requests, matches replies to them, keeps the window.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "ferry/sftp/channel.h"
#include "ferry/sftp/client.h"
#include "ferry/sftp/event_loop.h"
#include "ferry/sftp/task.h"
#include "sftp/client/byte_queue.h"
#include "sftp/client/wire.h"

namespace ferry::sftp {

/// Somebody who waits for a reply. Stays where it is: GCC 12 would quietly await a copy of what
/// co_await is given as anything but a plain name.
class ReplySink {
 public:
  ReplySink() = default;
  ReplySink(const ReplySink&) = delete;
  ReplySink& operator=(const ReplySink&) = delete;
  /// REPLY points into the connection's buffer: parse it before anything else happens there. One
  /// that does not answer what was asked is to be refused before anybody is told of it.
  virtual void on_reply(std::uint32_t id, Result<wire::Packet> reply) = 0;

 protected:
  ~ReplySink() = default;
};

/// Somebody who waits for room in the window.
class RoomSink {
 public:
  virtual void on_room() = 0;  // room, or the connection failed

 protected:
  ~RoomSink() = default;
};

/// VERSION has no id; requests count from 1.
constexpr std::uint32_t kVersionId = 0;

class Client::Connection final : public EventLoop::Source {
 public:
  Connection(std::unique_ptr<Channel> channel, const ClientOptions& options, EventLoop& loop);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() override { loop_.remove(*this); }

  EventLoop& loop() { return loop_; }
  const Channel& channel() const { return *channel_; }
  Agreement agreement() const { return channel_->agreement(); }

  /// Where requests are appended. An id must be taken for each.
  ByteQueue& out() { return out_; }
  std::uint32_t next_id() { return ++last_id_; }

  /// Queue the simplest requests; return their ids.
  std::uint32_t ask(wire::PacketType type, std::string_view argument);
  std::uint32_t ask(std::string_view extension, std::initializer_list<std::string_view> arguments);

  /// SINK gets the reply to ID, or the error that ends the connection. WINDOW_BYTES are held until
  /// then. Requires !error().
  void expect(std::uint32_t id, ReplySink& sink, std::size_t window_bytes = 0);

  /// Nobody waits for the reply to ID any more; it is thrown away when it comes.
  void forget(std::uint32_t id);

  bool has_room(std::size_t bytes) const;
  /// Whether nobody waits for room who comes before TICKET.
  bool is_next(std::uint64_t ticket) const {
    return room_waiters_.empty() || ticket < room_waiters_.begin()->first;
  }
  /// The shortest time that an answer took so far; the longest of times before the first.
  std::chrono::nanoseconds round_trip() const { return round_trip_; }
  /// Room goes to the lowest TICKET first. Each waits for one thing at a time.
  void wait_for_room(std::uint64_t ticket, std::size_t bytes, RoomSink& sink) {
    room_waiters_.emplace(ticket, RoomWaiter{bytes, &sink});
  }
  std::uint64_t next_ticket() { return ++last_ticket_; }

  bool is_ending() const { return error_ || loop_.stop().stop_requested(); }

  const ClientOptions& options() const { return options_; }
  const std::optional<Error>& error() const { return error_; }
  /// ANSWER is what a reply was read as. Nothing can be trusted that follows one which does not
  /// answer what was asked.
  template <typename T>
  void refuse_if_malformed(const Result<T>& answer) {
    if (!answer && answer.error().kind == ErrorKind::kProtocol && !error_) error_ = answer.error();
  }
  /// Is notified when the connection has failed.
  Condition& failed() { return failed_; }

  bool serve() override;
  EventLoop::Time add_poll_fds(std::vector<pollfd>& fds) override;

  const wire::Version& version() const { return version_; }
  void set_version(wire::Version version) { version_ = std::move(version); }

 private:
  struct Expected {
    std::uint32_t id;
    ReplySink* sink;  // null: answered already, out of turn
    std::size_t window_bytes;
    std::chrono::steady_clock::time_point asked;
  };
  struct RoomWaiter {
    std::size_t bytes;
    RoomSink* sink;
  };
  /// Takes the one with ID out; nothing if there is none.
  std::optional<Expected> take_expected(std::uint32_t id);

  Result<bool> exchange_bytes();  // true if any moved
  Result<bool> flush();
  Result<bool> receive();
  Result<void> dispatch(std::span<const std::byte> packet);
  void give_room();
  EventLoop::Time deadline();
  Error overdue() const;
  void fail(const Error& error);

  std::unique_ptr<Channel> channel_;
  const ClientOptions options_;
  EventLoop& loop_;
  Condition failed_;
  ByteQueue out_;
  ByteQueue in_;
  std::uint32_t last_id_ = 0;
  std::deque<Expected> expected_;  // with consecutive ids; the first is not answered
  std::size_t window_used_ = 0;
  std::chrono::nanoseconds round_trip_ = std::chrono::nanoseconds::max();
  std::map<std::uint64_t, RoomWaiter> room_waiters_;
  std::uint64_t last_ticket_ = 0;
  std::optional<Error> error_;
  wire::Version version_;
  EventLoop::Time last_progress_;
  std::optional<EventLoop::Time> stop_deadline_;
};

}  // namespace ferry::sftp
