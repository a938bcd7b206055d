// The service: uploads, questions about files, their management, and a page to look at, over HTTP
// on a metastore. docs/http.md tells what it answers, and openapi.json describes it to programs.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ferry/base/file.h"
#include "ferry/base/result.h"
#include "ferry/base/stop.h"
#include "ferry/landing/watch.h"
#include "ferry/metastore/metastore.h"

namespace ferry::http {

/// An IP address and a port.
struct Address {
  std::string host;  // as inet_pton(3) reads it
  std::uint16_t port = 0;

  /// "127.0.0.1:8022", "[::1]:8022", ":8022" and "8022" (of 127.0.0.1). Port 0: any that is free.
  static Result<Address> parse(std::string_view text);
  std::string to_string() const;
  /// Nobody but this host can connect to it.
  bool is_loopback() const;
};

/// A landing area, and what it is called in URLs.
struct UploadArea {
  std::string name;
  landing::LandingArea area;
};

struct ServiceOptions {
  std::vector<Address> listen{{"127.0.0.1", 8022}};
  std::vector<UploadArea> areas{};
  fs::path journals{};  // see landing::UploadOptions
  /// See tokens.h. If there is no such file when the service starts, nobody needs a token; if it
  /// listens on an address that others can connect to, that is refused.
  fs::path tokens{};
  metastore::Demand demand{};
  std::uint64_t max_upload = std::uint64_t{1} << 40;  // bytes of one file
  std::size_t max_connections = 256;
  /// The page for Prometheus.
  std::function<std::string(std::span<const metastore::Totals>, std::uint64_t damaged_rows,
                            Timestamp)>
      metrics{};
  /// It listens: the URLs by which it is reached.
  std::function<void(std::span<const std::string> urls)> on_ready{};
};

/// Serves until STOP. What is being uploaded then is refused, and nothing of it stays. Errors:
/// kInvalid for an address or for tokens; kDenied for a port; those of the tokens' file.
Result<void> serve(metastore::Metastore& store, ServiceOptions options, StopToken& stop);

}  // namespace ferry::http
