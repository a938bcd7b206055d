// How the program at the other end of a channel ended, for messages.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "ferry/base/text.h"

namespace ferry::sftp {

/// The last line that is not empty.
inline std::string_view last_line(std::string_view text) {
  text = text.substr(0, text.find_last_not_of("\r\n") + 1);
  return text.substr(text.find_last_of("\r\n") + 1);
}

inline std::string how_command_ended(int status, std::string_view stderr_text) {
  const auto last = excerpt(last_line(stderr_text));
  return fmt::format("the command ended with status {}{}{}", status, last.empty() ? "" : ": ",
                     last);
}

inline std::string how_sftp_ended(int status) {
  std::string text = "server closed the connection: its sftp subsystem ended";
  if (status != 0) text += fmt::format(" with status {}", status);
  return text;
}

}  // namespace ferry::sftp
