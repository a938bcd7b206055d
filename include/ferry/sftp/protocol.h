// The words of the SFTP protocol, version 3 (draft-ietf-secsh-filexfer-02; OpenSSH's PROTOCOL).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ferry/base/file.h"

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

/// One name in a directory at the server: not empty, without '/' or NUL, and neither "." nor "..".
struct DirectoryEntry {
  std::string name;
  Attributes attributes;  // of a symbolic link: its own
};

/// The bits of permissions that say what a file is (stat.st_mode's; POSIX has no numbers for them,
/// the draft does).
constexpr std::uint32_t kTypeMask = 0170000;
constexpr std::uint32_t kTypeDirectory = 0040000;
constexpr std::uint32_t kTypeRegular = 0100000;
constexpr std::uint32_t kTypeSymbolicLink = 0120000;

inline bool is_directory(const Attributes& attributes) {
  return (attributes.permissions.value_or(0) & kTypeMask) == kTypeDirectory;
}
inline bool is_regular(const Attributes& attributes) {
  return (attributes.permissions.value_or(0) & kTypeMask) == kTypeRegular;
}

/// Size and modification time as an identity; nothing if the server does not tell both.
inline std::optional<FileIdentity> identity_of(const Attributes& attributes) {
  constexpr std::int64_t kNanosecondsPerSecond = 1'000'000'000;
  if (!attributes.size || !attributes.modified) return std::nullopt;
  return FileIdentity{.size = *attributes.size,
                      .mtime_ns = *attributes.modified * kNanosecondsPerSecond};
}

/// Whether they are of a regular file, of the version that IDENTITY tells of.
inline bool is_version(const Attributes& attributes, const std::optional<FileIdentity>& identity) {
  return is_regular(attributes) && identity && identity_of(attributes) == identity;
}

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
