// TLS for connections (OpenSSL), 1.2 and later, with a certificate that may be replaced while it
// serves.
#pragma once

#include <memory>
#include <mutex>

#include "ferry/http/service.h"
#include "http/protocol/stream.h"

namespace ferry::http {

/// Thread-safe.
class Tls {
 public:
  /// Reads certificate and key. kInvalid if they are not good, or not for one another; those of
  /// opening a file.
  static Result<std::unique_ptr<Tls>> load(const TlsFiles& files);
  ~Tls();

  /// Reads them again, for the connections to come. On an error the previous ones stay.
  Result<void> reload();

  /// The server's side of a new connection, which must be non-blocking; the handshake comes with
  /// the first bytes. FD is not closed. Nothing: there is no memory.
  std::unique_ptr<Stream> open_stream(int fd) const;

 private:
  struct Context;
  explicit Tls(TlsFiles files) : files_(std::move(files)) {}

  const TlsFiles files_;
  mutable std::mutex mutex_;
  std::shared_ptr<Context> context_;
};

}  // namespace ferry::http
