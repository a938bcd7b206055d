// What it means that ssh(1) has ended, from what it said.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "ferry/sftp/channel.h"
#include "ferry/sftp/connect.h"

namespace ferry::sftp {

struct SshEnd {
  enum class Phase : std::uint8_t {
    kConnecting,
    kLoggedIn,  // and no byte has come from the sftp subsystem
    kRunning,
  };
  Phase phase = Phase::kConnecting;
  std::string_view stderr_text;
  /// As ChildProcess::exit_status; nothing if it has not ended, but closed the stream.
  std::optional<int> status = {};
};

/// True from the line on by which ssh says (LogLevel=VERBOSE) that the login is done.
bool says_logged_in(std::string_view stderr_text);

/// True if ssh knows no key of this very host; not of one on the way there.
bool says_host_key_unknown(std::string_view stderr_text, const ConnectOptions& options);

/// What ssh says (LogLevel=DEBUG1) that was agreed upon.
Agreement agreement_in(std::string_view stderr_text);

/// kConnectionLost after the login, unless ssh says that there is no sftp subsystem; kFailed if
/// it was a command that ended. Before: what connect_openssh promises; kInvalid if ssh does not
/// understand its options or configuration.
Error diagnose(const SshEnd& end, const ConnectOptions& options);

}  // namespace ferry::sftp
