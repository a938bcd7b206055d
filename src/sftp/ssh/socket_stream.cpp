#include "sftp/ssh/socket_stream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace ferry::sftp {
namespace {

// Bounds how long a peer that never pauses can keep one call busy.
constexpr std::size_t kTurnBytes = 1024 * 1024;

}  // namespace

void SocketStream::begin_turn() {
  turn_left_ = kTurnBytes;
}

void SocketStream::acknowledge_at_once() {
  const int on = 1;
  ::setsockopt(socket_.get(), IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
}

ssize_t SocketStream::receive(void* buffer, std::size_t size) {
  if (!has_input()) {
    if (const ssize_t count = fill(); count <= 0) return count;
  }
  const std::size_t count = std::min(size, input_end_ - input_begin_);
  std::memcpy(buffer, input_.data() + input_begin_, count);
  input_begin_ += count;
  return static_cast<ssize_t>(count);
}

ssize_t SocketStream::fill() {
  if (ended_) return -os_error_;
  if (turn_left_ == 0) return -EAGAIN;
  ssize_t count = -1;
  do {
    count = ::recv(socket_.get(), input_.data(), input_.size(), 0);
  } while (count < 0 && errno == EINTR);

  if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
    turn_left_ = 0;
    return -EAGAIN;
  }
  if (count <= 0) {
    fail(count < 0 ? errno : 0);
    return -os_error_;
  }
  input_begin_ = 0;
  input_end_ = static_cast<std::size_t>(count);
  received_ += input_end_;
  // A short read emptied the socket.
  turn_left_ = input_end_ < input_.size() ? 0 : turn_left_ - std::min(turn_left_, input_end_);
  return count;
}

ssize_t SocketStream::send(const void* data, std::size_t size) {
  flush();
  if (ended_) return -(os_error_ != 0 ? os_error_ : EPIPE);
  const auto* bytes = static_cast<const char*>(data);
  std::size_t sent = 0;
  if (output_.empty()) {
    const ssize_t count = send_some(bytes, size);
    if (count < 0) return count;
    sent = static_cast<std::size_t>(count);
  }
  output_.append(bytes + sent, size - sent);
  return static_cast<ssize_t>(size);
}

void SocketStream::flush() {
  if (output_.empty() || ended_) return;
  const ssize_t count = send_some(output_.data(), output_.size());
  if (count > 0) output_.erase(0, static_cast<std::size_t>(count));
}

ssize_t SocketStream::send_some(const char* data, std::size_t size) {
  for (;;) {
    const ssize_t count = ::send(socket_.get(), data, size, MSG_NOSIGNAL);
    if (count >= 0) return count;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return 0;
    if (errno == EINTR) continue;
    fail(errno);
    return -os_error_;
  }
}

void SocketStream::fail(int os_code) {
  if (ended_) return;
  ended_ = true;
  os_error_ = os_code;
}

}  // namespace ferry::sftp
