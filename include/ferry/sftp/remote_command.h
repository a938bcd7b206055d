// Commands at the server, over a connection of their own.
#pragma once

#include <chrono>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ferry/base/result.h"
#include "ferry/base/stop.h"
#include "ferry/sftp/connect.h"

namespace ferry::sftp {

/// WORDS as a POSIX shell reads them: each literally, whatever it holds.
std::string shell_quoted(std::span<const std::string> words);

struct CommandEnd {
  std::string output;  // stdout
  std::string how;     // "host: the command ended with status 1: last words", for messages
};

/// Logs in to ACCOUNT, runs COMMAND and waits until it has ended, whatever its status. Blocks.
/// Errors: those of connect(); kConnectionLost if the connection ended before the command, or
/// LIMIT was over; kFailed if it writes without end.
Result<CommandEnd> run_remote_command(ConnectOptions account, std::string command,
                                      std::chrono::milliseconds limit, StopToken& stop);

}  // namespace ferry::sftp
