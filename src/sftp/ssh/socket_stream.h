// A non-blocking socket that always takes what it is given to send.
//
// An SSH library that meets a full socket in the middle of a packet has to come back with exactly
// that packet before it may send any other: a window adjustment or a key exchange that falls in
// between breaks the connection (libssh2: LIBSSH2_ERROR_BAD_USE). So a packet is taken whole; what
// the socket has no room for waits here. The owner gives no new data while has_output().
#pragma once

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "ferry/base/fd.h"

namespace ferry::sftp {

class SocketStream {
 public:
  explicit SocketStream(UniqueFd socket) : socket_(std::move(socket)) {}

  /// Lets receive() ask the socket again, for a bounded amount of bytes. Between two turns an empty
  /// socket is asked once.
  void begin_turn();
  void end_turn() { turn_left_ = 0; }

  /// As recv(2) and send(2), but -errno for an error. send() takes all of it.
  ssize_t receive(void* buffer, std::size_t size);
  ssize_t send(const void* data, std::size_t size);

  /// Acknowledges what was received, now and for a while: a server that sends one small packet
  /// after another waits for that (Nagle's algorithm), and the kernel would take 40 ms (tcp(7)).
  void acknowledge_at_once();

  void flush();
  bool has_output() const { return !output_.empty(); }
  bool has_input() const { return input_begin_ < input_end_; }

  /// Bytes taken from the socket so far.
  std::uint64_t received() const { return received_; }

  /// The peer closed the connection, or it failed; os_error() is 0 in the first case.
  bool ended() const { return ended_; }
  int os_error() const { return os_error_; }

  /// From here on nothing is sent, received or waited for.
  void abandon() { fail(EPIPE); }

  int fd() const { return socket_.get(); }

 private:
  ssize_t fill();
  ssize_t send_some(const char* data, std::size_t size);
  void fail(int os_code);

  UniqueFd socket_;
  std::array<char, 64 * 1024> input_{};
  std::size_t input_begin_ = 0;
  std::size_t input_end_ = 0;
  std::size_t turn_left_ = 0;  // bytes
  std::uint64_t received_ = 0;
  std::string output_;
  bool ended_ = false;
  int os_error_ = 0;
};

}  // namespace ferry::sftp
