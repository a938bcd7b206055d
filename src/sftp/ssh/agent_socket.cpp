#include "sftp/ssh/agent_socket.h"

#include <sys/socket.h>

#include <cerrno>
#include <concepts>

#include "sftp/ssh/dial.h"

namespace ferry::sftp {
namespace {

template <std::invocable Call>
ssize_t repeat(int socket, short events, std::chrono::milliseconds limit, const StopToken& stop,
               Call call) {
  const auto deadline = Clock::now() + limit;
  for (;;) {
    const ssize_t count = call();
    if (count > 0) return count;
    if (count == 0) return -ECONNRESET;
    if (errno != EAGAIN && errno != EINTR) return -errno;
    if (wait_for(socket, events, deadline, stop) != WaitResult::kReady) return -ETIMEDOUT;
  }
}

}  // namespace

ssize_t receive_from_agent(int socket, void* buffer, std::size_t size,
                           std::chrono::milliseconds limit, const StopToken& stop) {
  return repeat(socket, POLLIN, limit, stop,
                [&] { return ::recv(socket, buffer, size, MSG_DONTWAIT); });
}

ssize_t send_to_agent(int socket, const void* data, std::size_t size,
                      std::chrono::milliseconds limit, const StopToken& stop) {
  return repeat(socket, POLLOUT, limit, stop,
                [&] { return ::send(socket, data, size, MSG_DONTWAIT | MSG_NOSIGNAL); });
}

}  // namespace ferry::sftp
