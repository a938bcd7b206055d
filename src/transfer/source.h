// A file in a landing area, held against what the registry says of it.
#pragma once

#include <cstdint>
#include <span>

#include "ferry/base/fd.h"
#include "ferry/base/file.h"
#include "ferry/base/hash.h"
#include "ferry/base/result.h"
#include "ferry/metastore/records.h"

namespace ferry::transfer {

/// What check_source found: exactly these bytes are to be sent.
struct CheckedSource {
  FileIdentity identity;
  Checksum sha256;
};

/// Holds a file against its record: by identity where the record has one and it is unchanged, else
/// by content. kAbnormal: not a regular file, vanished, or not the bytes that were registered.
Result<CheckedSource> check_source(int landing_fd, const metastore::FileRecord& record);

/// A checked source, opened to be read.
class SourceFile {
 public:
  /// kAbnormal where the file is not what was checked any more.
  static Result<SourceFile> open(int landing_fd, const std::string& path,
                                 const FileIdentity& expected);

  int fd() const { return fd_.get(); }

  /// Fills BUFFER from OFFSET on.
  Result<void> read(std::uint64_t offset, std::span<std::byte> buffer) const;

  /// Tells the kernel that this range will not be read again soon (posix_fadvise(2)).
  void drop_from_cache(std::uint64_t offset, std::uint64_t size) const;

  /// kAbnormal where the file changed since it was opened. What was read before is then void.
  Result<void> verify_unchanged() const;

 private:
  SourceFile(UniqueFd fd, std::string path, const FileIdentity& expected)
      : fd_(std::move(fd)), path_(std::move(path)), expected_(expected) {}

  UniqueFd fd_;
  std::string path_;
  FileIdentity expected_;
};

/// Reads a checked source once and in order, and proves at the end by its checksum that these were
/// the checked bytes.
class SourceStream {
 public:
  static Result<SourceStream> open(int landing_fd, const std::string& path,
                                   const CheckedSource& expected);

  /// OFFSET must be where the last read ended.
  Result<void> read(std::uint64_t offset, std::span<std::byte> buffer);

  /// kAbnormal where what was read is not what was checked, or the file changed meanwhile.
  Result<void> verify();

 private:
  SourceStream(SourceFile file, std::string path, const Checksum& expected)
      : file_(std::move(file)), path_(std::move(path)), expected_(expected) {}

  SourceFile file_;
  std::string path_;
  Checksum expected_;
  Hasher hasher_{HashAlgorithm::kSha256};
};

}  // namespace ferry::transfer
