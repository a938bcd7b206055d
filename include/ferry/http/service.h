// The service: uploads, questions about files, their management, and a page to look at, over HTTP
// on a metastore. docs/http.md tells what it answers, and openapi.json describes it to programs.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ferry/base/fd.h"
#include "ferry/base/file.h"
#include "ferry/base/json.h"
#include "ferry/base/result.h"
#include "ferry/base/stop.h"
#include "ferry/landing/watch.h"
#include "ferry/metastore/metastore.h"

namespace ferry::http {

/// Where the service can be reached: an IP address and a port, or a Unix socket.
struct Address {
  std::string host{};  // as inet_pton(3) reads it
  std::uint16_t port = 0;
  fs::path socket{};  // absolute; instead of both

  /// "127.0.0.1:8022", "[::1]:8022", ":8022" and "8022" (of 127.0.0.1), and "unix:/run/a.sock".
  /// Port 0: any that is free.
  static Result<Address> parse(std::string_view text);
  std::string to_string() const;
  /// Nobody but this host can connect to it.
  bool is_local() const;
};

/// In PEM form: the certificate with those between it and one that clients know, and its private
/// key without a passphrase.
struct TlsFiles {
  fs::path certificate;
  fs::path key;
};

/// A landing area, and what it is called in URLs.
struct UploadArea {
  std::string name;
  landing::LandingArea area;
};

/// By what the service answers. Another one may take its place at any time: what is under way is
/// done by the one with which it began.
struct Configuration {
  std::shared_ptr<metastore::Metastore> store;
  std::vector<UploadArea> areas{};
  /// What the service keeps lies below it: as long as it is at its path, the service is ready.
  fs::path state{};
  fs::path journals{};  // see landing::UploadOptions
  /// Where uploads that may be interrupted gather: a directory of their own, made if missing.
  fs::path resumable{};
  fs::path batches{};  // where agents of this host keep copies of control files
  fs::path agents{};   // where agents of this host tell how far they are: see base/agent_progress.h
  metastore::Demand demand{};
  /// The page for Prometheus.
  std::function<Result<std::string>(metastore::Metastore& store)> metrics{};
  /// Files that should come every day: those that are late now, and all of the day that DATE names
  /// (`today` if it is empty; kInvalid: it names none). JSON as openapi.json has it.
  std::function<Result<Json>(metastore::Metastore& store)> late{};
  std::function<Result<Json>(metastore::Metastore& store, std::string_view date)> expectations{};
};

struct ServiceOptions {
  /// A Unix socket is made, for its owner and group, in the place of one that nobody listens on.
  std::vector<Address> listen{{"127.0.0.1", 8022}};
  /// Sockets that listen already, of systemd for instance; LISTEN is not looked at if there are
  /// any.
  std::vector<UniqueFd> listening{};
  /// For all but Unix sockets; absent: in the clear.
  std::optional<TlsFiles> tls{};
  /// Reads the TLS files again, and asks RELOAD; nothing: nobody asks for it. Must outlive the
  /// service.
  ReloadRequest* hangup = nullptr;
  /// Another configuration, in the place of the one in effect; an error leaves that.
  std::function<Result<Configuration>()> reload{};
  /// What came of that: nothing is wrong, or what is.
  std::function<void(const Result<void>& reloaded)> on_reloaded{};
  std::chrono::milliseconds resume_within = std::chrono::hours(24);  // since bytes came last
  /// See tokens.h. If there is no such file when the service starts, nobody needs a token; if it
  /// listens on an address that others can connect to, that is refused.
  fs::path tokens{};
  std::uint64_t max_upload = std::uint64_t{1} << 40;  // bytes of one file
  std::size_t max_connections = 256;
  std::uint64_t max_requests = 1000;  // a second, of one token
  /// It listens: the URLs by which it is reached.
  std::function<void(std::span<const std::string> urls)> on_ready{};
};

/// Serves until STOP, by CONFIGURATION first. What is being uploaded then is refused, and nothing
/// of it stays. Errors: kInvalid for an address, for tokens or for TLS; kDenied for a port; those
/// of the files.
Result<void> serve(Configuration configuration, ServiceOptions options, StopToken& stop);

}  // namespace ferry::http
