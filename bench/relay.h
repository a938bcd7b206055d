// One connection through the line: a client's socket, a server's, and the bytes between them.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "fault_plan.h"
#include "ferry/base/fd.h"
#include "line_buffer.h"

namespace ferry::bench {

/// A non-blocking socket and what edge-triggered epoll last said about it.
struct Endpoint {
  UniqueFd fd;
  bool readable = true;
  bool writable = true;
  bool hung_up = false;

  void on_events(std::uint32_t events);
};

struct Totals {
  std::uint64_t to_server = 0;
  std::uint64_t to_client = 0;
  std::uint64_t connections = 0;

  bool operator==(const Totals&) const = default;
};

struct LineOptions {
  std::chrono::milliseconds delay{};  // each way
  std::size_t in_flight = 64 << 20;   // bytes that a direction holds at most
};

class Relay {
 public:
  Relay(UniqueFd client, UniqueFd server, const LineOptions& line, std::optional<Fault> fault);

  Endpoint& client() { return client_; }
  Endpoint& server() { return server_; }

  /// Moves what can be moved now. True where it should be called again at once.
  bool advance(Clock::time_point now, Totals& totals, FaultPlan& plan);
  /// When it should be called though nothing happens at the sockets.
  std::optional<Clock::time_point> next_due() const;
  bool ended() const { return !client_.fd; }
  void cut(FaultKind kind);

 private:
  struct Direction {
    Endpoint& source;
    Endpoint& sink;
    LineBuffer buffer;
    std::uint64_t forwarded = 0;
    bool source_ended = false;
    bool closed = false;  // the sink has been told that no more will come
  };

  bool receive(Direction& direction, Clock::time_point now);
  bool forward(Direction& direction, Clock::time_point now, std::uint64_t& total, FaultPlan& plan);
  std::uint64_t until_fault(const Direction& direction) const;
  void strike(FaultPlan& plan);

  Endpoint client_;
  Endpoint server_;
  std::chrono::milliseconds delay_;
  std::optional<Fault> fault_;
  bool stalled_ = false;
  Direction to_server_;
  Direction to_client_;
};

}  // namespace ferry::bench
