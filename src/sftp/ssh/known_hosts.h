// Files in the format of sshd(8), SSH_KNOWN_HOSTS FILE FORMAT.
//
// Host names: comma-separated patterns with '*', '?' and '!', "[host]:port", and hashed ones. Of
// the markers @revoked counts; @cert-authority lines are left out, since host certificates are not
// supported. What cannot be understood is skipped, as ssh(1) does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ferry/base/file.h"

namespace ferry::sftp {

/// One line of a known_hosts file.
struct KnownHost {
  std::string hosts;  // patterns, or |1|salt|hash
  std::string key_type;
  std::string key;  // the blob
  bool revoked = false;
  fs::path file;
  std::size_t line = 0;
};

std::vector<KnownHost> parse_known_hosts(std::string_view text, const fs::path& file);

enum class HostKeyStatus : std::uint8_t {
  kMatch,
  kUnknown,    // no line for this host
  kChanged,    // a line for this host has another key of the same type
  kOtherType,  // the host is known, but only with keys of other types
  kRevoked,
};

struct HostKeyLookup {
  HostKeyStatus status = HostKeyStatus::kUnknown;
  std::optional<KnownHost> known;  // the line that decided
};

/// Where PORT is not 22 a line for the bare host name serves too, but only to accept or revoke.
HostKeyLookup look_up(const std::vector<KnownHost>& known, std::string_view host,
                      std::uint16_t port, std::string_view key);

/// The types of the keys that are known for the host, in their order in the files.
std::vector<std::string> known_key_types(const std::vector<KnownHost>& known, std::string_view host,
                                         std::uint16_t port);

/// "host", or "[host]:port" where PORT is not 22.
std::string known_hosts_name(std::string_view host, std::uint16_t port);

/// The type that a key blob names in its first field, such as "ssh-ed25519"; empty if malformed.
std::string_view key_type_of(std::string_view key);

/// "SHA256:…", as ssh-keygen -l prints it.
std::string fingerprint(std::string_view key);

/// Appends a line for the host, unless the file got one in the meantime. Creates the file (0600)
/// and its directory (0700) if missing.
Result<void> add_known_host(const fs::path& file, std::string_view host, std::uint16_t port,
                            std::string_view key);

}  // namespace ferry::sftp
