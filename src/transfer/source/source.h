// A file in a landing area, while it is read to be sent.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "ferry/base/file.h"
#include "ferry/base/hash.h"
#include "ferry/base/result.h"
#include "ferry/sftp/task.h"

namespace ferry::transfer {

/// What was found to be the registered file: exactly these bytes are to be sent.
struct CheckedSource {
  FileIdentity identity;
  Checksum sha256;
};

/// What permissions() gives of a file's mode.
inline constexpr std::uint32_t kPermissionBits = 0777;

/// An open file; belongs to one event loop. Errors: kAbnormal if the file is not, or is no longer,
/// what was wanted; what may pass is retryable.
class Source {
 public:
  virtual ~Source() = default;

  /// Fills BUFFER from OFFSET on, which must be where the last read ended.
  virtual Result<void> read(std::uint64_t offset, std::span<std::byte> buffer) = 0;

  /// False: await must have ended before what it was asked for is read.
  virtual bool is_always_ready() const { return true; }
  /// Ends when the next SIZE bytes can be read.
  virtual sftp::Task<Result<void>> await(std::size_t size);

  /// As of when it was opened.
  virtual sftp::Task<Result<FileIdentity>> identity() = 0;

  /// Its rwx bits for owner, group and others; nothing: a server does not tell.
  virtual sftp::Task<Result<std::optional<std::uint32_t>>> permissions() = 0;

  /// kAbnormal if the file changed since it was opened. What was read before is then void.
  virtual sftp::Task<Result<void>> verify_unchanged() = 0;

  /// The same if it takes no round trip; says nothing of a file on a server.
  virtual Result<void> verify_unchanged_if_local() { return {}; }

  /// True if nobody can have changed it without another identity: the kernel says that nobody has
  /// it open for writing, or mapped.
  virtual bool is_vouched_for() const { return false; }

  /// For a command that judges the file; -1: it is on a server.
  virtual int fd() const { return -1; }

  /// This range will not be read again soon.
  virtual void drop_from_cache(std::uint64_t, std::uint64_t) {}
};

/// Opens PATH below the directory LANDING_FD for reading; no symbolic links. If it is not there,
/// the error has the system's code.
Result<std::unique_ptr<Source>> open_local_source(int landing_fd, const std::string& path);

/// Reads a checked source once and in order, and proves at the end by its checksum that these were
/// the checked bytes.
class SourceStream {
 public:
  SourceStream(std::unique_ptr<Source> source, std::string path, const Checksum& expected)
      : source_(std::move(source)), path_(std::move(path)), expected_(expected) {}

  bool is_always_ready() const { return source_->is_always_ready(); }
  sftp::Task<Result<void>> await(std::size_t size) { return source_->await(size); }
  /// OFFSET must be where the last read ended.
  Result<void> read(std::uint64_t offset, std::span<std::byte> buffer);

  /// kAbnormal if what was read is not what was checked.
  sftp::Task<Result<void>> verify();

 private:
  std::unique_ptr<Source> source_;
  std::string path_;
  Checksum expected_;
  Hasher hasher_{HashAlgorithm::kSha256};
};

/// The error for a source that is not what it was, "while it was sent" for instance.
Error source_changed(std::string_view path, std::string_view when);
Error source_vanished(std::string_view path, int os_code = 0);
/// For one that is not there, and whose landing area, or a part of it, may not be mounted.
Error source_not_mounted(std::string_view path);
/// For AREA, of which files are registered.
Error area_is_empty(std::string_view area);
Error unlike_the_registry(std::string_view path, const Checksum& found, const Checksum& expected);

}  // namespace ferry::transfer
