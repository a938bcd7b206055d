// One connection of a client: reads requests, has them handled, writes the responses (RFC 9112).
//
// Belongs to one thread, which may wait: for bytes no longer than the limits say, and for those of
// a request no longer than until a stop.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>

#include "ferry/base/stop.h"
#include "http/protocol/message.h"
#include "http/protocol/stream.h"

namespace ferry::http {

struct ConnectionLimits {
  std::size_t header_bytes = 16 * 1024;
  std::uint64_t body_bytes = std::uint64_t{1} << 40;
  std::chrono::milliseconds header_time = std::chrono::seconds(10);  // for all of a header
  std::chrono::milliseconds idle_time = std::chrono::seconds(60);    // between two requests
  std::chrono::milliseconds stall_time = std::chrono::seconds(30);   // without any byte
  /// Of a body, once it has been coming for stall_time.
  std::uint64_t least_bytes_a_second = 1024;
};

using Handler = std::function<Response(Exchange&)>;

/// Since when the connection has had nothing to do, as std::chrono::steady_clock counts; 0: a
/// request is being handled.
using IdleSince = std::atomic<std::chrono::steady_clock::rep>;

/// Serves the connection FD, whose bytes are those of STREAM, until one side ends it.
void serve_connection(int fd, Stream& stream, const ConnectionLimits& limits,
                      const Handler& handler, const StopToken& stop, IdleSince& idle_since);

/// The response as it is sent.
std::string to_wire(const Response& response, bool with_body, bool keep_alive);

}  // namespace ferry::http
