// How ssh(1) is called.
#pragma once

#include <string>
#include <vector>

#include "ferry/sftp/connect.h"

namespace ferry::sftp {

/// The options for OPTIONS; what these leave open, and everything else, is up to ssh_config(5).
std::vector<std::string> ssh_options(const ConnectOptions& options);

/// "ssh OPTIONS… ALGORITHMS… -s -- HOST sftp", or "… -- HOST COMMAND"
std::vector<std::string> ssh_command(const ConnectOptions& options,
                                     const std::vector<std::string>& algorithms);

/// "NAME=value": what ssh and the programs that ssh_config(5) has it run need of our environment
/// besides what every program gets (child_process.h): agents, hardware keys, Kerberos.
std::vector<std::string> ssh_environment();

}  // namespace ferry::sftp
