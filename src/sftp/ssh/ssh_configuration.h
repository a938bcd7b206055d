// What ssh(1) would do, as `ssh -G` tells it.
#pragma once

#include <string>
#include <string_view>

#include "ferry/base/stop.h"
#include "ferry/sftp/connect.h"

namespace ferry::sftp {

/// A line for each keyword of ssh_config(5), in lower case, with its value; empty if ssh cannot
/// say. `Match exec` may run programs, for OPTIONS.timeout at most.
std::string ssh_configuration(const ConnectOptions& options, const StopToken& stop);

/// The same without anybody's configuration.
std::string ssh_defaults(std::chrono::milliseconds timeout, const StopToken& stop);

/// The first value of KEYWORD, which may be in any case; empty if it has none.
std::string_view value_in(std::string_view configuration, std::string_view keyword);

}  // namespace ferry::sftp
