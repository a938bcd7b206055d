// What to propose for encryption and integrity, best first.
#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <vector>

namespace ferry::sftp {

// GCM ciphers need no MAC and one call per packet; libssh2 has them from 1.11 on.
inline const std::vector<std::string> kPreferredCiphers = {"aes128-gcm@openssh.com",
                                                           "aes256-gcm@openssh.com",
                                                           "aes128-ctr",
                                                           "aes192-ctr",
                                                           "aes256-ctr",
                                                           "chacha20-poly1305@openssh.com",
                                                           "aes128-cbc",
                                                           "aes256-cbc"};

inline const std::vector<std::string> kPreferredMacs = {
    "hmac-sha2-256", "hmac-sha2-256-etm@openssh.com", "hmac-sha2-512",
    "hmac-sha2-512-etm@openssh.com", "hmac-sha1"};

/// Those of NAMES that are SUPPORTED, in their order, separated by commas.
inline std::string common_names(const std::vector<std::string>& names,
                                std::span<const char* const> supported) {
  std::string list;
  for (const std::string& name : names) {
    if (std::ranges::find(supported, name) == supported.end()) continue;
    list += (list.empty() ? "" : ",") + name;
  }
  return list;
}

}  // namespace ferry::sftp
