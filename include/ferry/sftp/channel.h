// A non-blocking, ordered byte stream to a server's "sftp" subsystem.
//
// A channel belongs to one thread at a time. Once it returned an error it is dead; errors are of
// kind kConnectionLost (which includes the end of the stream) and say which host.
#pragma once

#include <poll.h>

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "ferry/base/result.h"

namespace ferry::sftp {

/// The algorithms that both sides agreed upon, by the names of SSH's registry. Empty: not known.
struct Agreement {
  std::string key_exchange;
  std::string host_key;
  std::string cipher;  // from us to the server, as the next
  std::string mac;     // "implicit" if the cipher has its own
};

class Channel {
 public:
  virtual ~Channel() = default;

  /// Takes what is there, at most BUFFER's size. 0: nothing now.
  virtual Result<std::size_t> read(std::span<std::byte> buffer) = 0;

  /// Gives away the first bytes of DATA; returns how many. 0: not now. After that the next call
  /// must start with the same bytes (libssh2 may have encrypted some of them).
  virtual Result<std::size_t> write(std::span<const std::byte> data) = 0;

  /// The server's identification string (RFC 4253 §4.2), made fit to print; empty: not known.
  virtual std::string server_version() const { return {}; }

  /// What poll(2) should wait for before the next read, or write if WANTS_WRITE, can get on.
  virtual void add_poll_fds(bool wants_write, std::vector<pollfd>& fds) const = 0;

  virtual Agreement agreement() const { return {}; }
};

}  // namespace ferry::sftp
