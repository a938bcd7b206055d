// What a session channel is asked to carry (RFC 4254, section 6.5).
#pragma once

#include <string_view>

#include "ferry/sftp/connect.h"

namespace ferry::sftp {

struct ChannelStartup {
  bool is_command = false;
  std::string_view request;
  std::string_view argument;
  std::string_view refusal;  // "the server …", where it would not
};

/// Points into OPTIONS.
inline ChannelStartup channel_startup(const ConnectOptions& options) {
  if (!options.command.empty()) {
    return {.is_command = true,
            .request = "exec",
            .argument = options.command,
            .refusal = "runs no commands for this account"};
  }
  return {.is_command = false,
          .request = "subsystem",
          .argument = "sftp",
          .refusal = "has no sftp subsystem for this account, or lets it open no session"};
}

}  // namespace ferry::sftp
