// How ssh(1) is called.
#pragma once

#include <string>
#include <vector>

#include "ferry/sftp/connect.h"

namespace ferry::sftp {

/// The options for OPTIONS; what these leave open, and everything else, is up to ssh_config(5).
std::vector<std::string> ssh_options(const ConnectOptions& options);

/// "ssh OPTIONS… [-oCiphers=CIPHERS] -s -- HOST sftp", or "… -- HOST COMMAND"
std::vector<std::string> ssh_command(const ConnectOptions& options, const std::string& ciphers);

}  // namespace ferry::sftp
