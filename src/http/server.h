// Listens, and gives each connection a thread, up to a limit.
//
// When all are taken, a newcomer gets the place of the connection that has been idle for the
// longest time: nobody is kept out by clients that hold connections and ask nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ferry/base/fd.h"
#include "ferry/base/result.h"
#include "ferry/http/service.h"
#include "http/connection.h"

namespace ferry::http {

struct Listener {
  UniqueFd fd;
  std::string url;  // with the port that it got
};

/// kInvalid for an address that this host has not; kFailed if the port is taken; kDenied.
Result<Listener> listen_at(const Address& address);

/// Serves until STOP; returns when the last connection has ended.
void serve_listeners(std::span<const Listener> listeners, std::size_t max_connections,
                     const ConnectionLimits& limits, const Handler& handler, const StopToken& stop);

}  // namespace ferry::http
