// Accepts, and gives each connection a thread, up to a limit.
//
// When all are taken, a newcomer gets the place of the connection that has been idle for the
// longest time: nobody is kept out by clients that hold connections and ask nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ferry/base/result.h"
#include "ferry/base/stop.h"
#include "ferry/http/service.h"
#include "http/protocol/connection.h"
#include "http/protocol/listener.h"
#include "http/protocol/tls.h"

namespace ferry::http {

struct ServerOptions {
  std::size_t max_connections = 256;
  ConnectionLimits limits{};
  Tls* tls = nullptr;               // nothing: in the clear
  ReloadRequest* hangup = nullptr;  // nothing: never
};

/// Serves until STOP; returns when the last connection has ended.
void serve_listeners(std::span<const Listener> listeners, const ServerOptions& options,
                     const Handler& handler, const StopToken& stop);

}  // namespace ferry::http
