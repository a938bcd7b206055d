// The socket of an ssh-agent(1), for a library that reads and writes it as if it blocked.
//
// libssh2 would repeat a request from its beginning after EAGAIN, and read for ever from an agent
// that went away.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>

#include "ferry/base/stop.h"

namespace ferry::sftp {

// As recv(2) and send(2), but -errno for an error, and never 0: that is -ECONNRESET. They wait at
// most LIMIT.
ssize_t receive_from_agent(int socket, void* buffer, std::size_t size,
                           std::chrono::milliseconds limit, const StopToken& stop);
ssize_t send_to_agent(int socket, const void* data, std::size_t size,
                      std::chrono::milliseconds limit, const StopToken& stop);

}  // namespace ferry::sftp
