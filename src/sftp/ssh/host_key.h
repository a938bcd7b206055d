// Is the server the one that it says it is?
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ferry/sftp/connect.h"
#include "sftp/ssh/known_hosts.h"

namespace ferry::sftp {

class HostKeyCheck {
 public:
  /// Reads the known_hosts files; a missing one is an empty one. One may be a pipe.
  static Result<HostKeyCheck> load(const ConnectOptions& options, const StopToken& stop);

  /// Host key algorithms to ask the server for, best first: those of the keys that are known, so
  /// that a server with several keys shows one that can be checked.
  std::vector<std::string> algorithms() const;

  /// Adds the key to the first known_hosts file where the host is unknown and the options say so.
  Result<void> check(std::string_view key) const;

 private:
  explicit HostKeyCheck(const ConnectOptions& options) : options_(&options) {}
  Error unknown(std::string_view key) const;

  const ConnectOptions* options_;
  std::vector<fs::path> files_;
  std::vector<KnownHost> known_;
};

/// Connects, by libssh2, as far as the server's host key, and checks that: whoever sits at a
/// terminal is asked.
Result<void> ask_about_host_key(const ConnectOptions& options, StopToken& stop);

}  // namespace ferry::sftp
