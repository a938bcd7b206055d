// The words of the SFTP protocol, version 3 (draft-ietf-secsh-filexfer-02; OpenSSH's PROTOCOL).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace ferry::sftp {

/// SSH_FXF_*.
enum OpenFlags : std::uint32_t {
  kOpenRead = 0x01,
  kOpenWrite = 0x02,
  kOpenCreate = 0x08,
  kOpenTruncate = 0x10,
  kOpenExclusive = 0x20,
};

/// What a server says of a file; all of it may be absent (ATTRS).
struct Attributes {
  std::optional<std::uint64_t> size;
  std::optional<std::uint32_t> permissions;  // st_mode, type bits included
  std::optional<std::uint32_t> modified;     // seconds since 1970
};

/// An open file at the server; opaque, at most 256 bytes.
struct Handle {
  std::string bytes;
};

/// limits@openssh.com. 0: the server does not say.
struct ServerLimits {
  std::uint64_t max_packet_bytes = 0;
  std::uint64_t max_read_bytes = 0;
  std::uint64_t max_write_bytes = 0;
  std::uint64_t max_open_handles = 0;
};

/// statvfs@openssh.com, the part that matters here.
struct FileSystemSpace {
  std::uint64_t available_bytes = 0;  // to us: f_bavail, not f_bfree
};

}  // namespace ferry::sftp
