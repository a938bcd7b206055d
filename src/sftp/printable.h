// Text from a server, made fit for a message.
#pragma once

#include <string>
#include <string_view>

namespace ferry::sftp {

/// TEXT without control characters and cut to a length that a log line bears.
inline std::string printable(std::string_view text) {
  constexpr std::size_t kLongest = 300;
  std::string result(text.substr(0, kLongest));
  for (char& character : result) {
    const auto code = static_cast<unsigned char>(character);
    if (code < 0x20 || code == 0x7f) character = ' ';
  }
  return result;
}

}  // namespace ferry::sftp
