// TCP connections, and waiting that ends: at a deadline, or when a stop is requested.
#pragma once

#include <poll.h>

#include <chrono>
#include <cstdint>
#include <string>

#include "ferry/base/fd.h"
#include "ferry/base/result.h"
#include "ferry/base/stop.h"

namespace ferry::sftp {

using Clock = std::chrono::steady_clock;

enum class WaitResult : std::uint8_t { kReady, kTimedOut, kStopped };

/// Waits for EVENTS (poll(2)) on FD.
WaitResult wait_for(int fd, short events, Clock::time_point deadline, const StopToken& stop);

/// "host:port", with brackets around an IPv6 address.
std::string peer_name(const std::string& host, std::uint16_t port);

/// "15 s", for messages.
std::string seconds_text(std::chrono::milliseconds time);

Error timed_out(const std::string& what, std::chrono::milliseconds timeout);
Error cancelled(const std::string& what);

/// A connected, non-blocking socket: the first of the host's addresses that answers, each within
/// TIMEOUT. Looking up the name is the resolver's and takes as long as that takes.
Result<UniqueFd> dial(const std::string& host, std::uint16_t port,
                      std::chrono::milliseconds timeout, const StopToken& stop);

}  // namespace ferry::sftp
