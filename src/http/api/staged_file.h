// What has come of an upload that may be interrupted, in a directory on this host:
//
//   ID.json    what it is to become, as its creator said
//   ID.data    its bytes so far
//   ID.offset  how many of them are on stable storage and count
//   ID.landed  once it is in the landing area: the file's id. The data are gone then.
//
// Whoever appends, lands or removes holds the lock of ID.data.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ferry/base/file.h"
#include "ferry/base/hash.h"
#include "ferry/base/lock.h"
#include "ferry/base/result.h"
#include "ferry/base/time.h"

namespace ferry::http {

struct UploadTerms {
  std::string area;
  std::string path;
  std::string by{};  // the name of its token
  std::uint64_t length = 0;
  bool no_clobber = false;
  std::vector<Checksum> digests{};
  std::string metadata{};  // as it came
  Timestamp created{};
};

/// One of them. Belongs to one thread.
class StagedUpload {
 public:
  /// On stable storage when it returns.
  static Result<std::string> create(const fs::path& directory, const UploadTerms& terms);

  /// To look at. kNotFound if there is none, also for an ID that cannot be one.
  static Result<StagedUpload> find(const fs::path& directory, const std::string& id);

  /// The ids of all that are there, sorted, with those of which a crash left a part.
  static Result<std::vector<std::string>> list(const fs::path& directory);
  /// Removes what a crash left of one that nobody can find, unless a file of it was written since
  /// BEFORE: it may be about to begin. False: it is left.
  static Result<bool> remove_rest(const fs::path& directory, const std::string& id,
                                  Timestamp before);

  const std::string& id() const { return id_; }
  const UploadTerms& terms() const { return terms_; }
  std::uint64_t offset() const { return offset_; }
  bool is_complete() const { return offset_ == terms_.length; }
  /// The id of the file that it has become; empty: none yet.
  const std::string& landed() const { return landed_; }
  /// When somebody last appended.
  Timestamp touched() const { return touched_; }

  /// Takes the lock and looks again. kBusy if another has it; kNotFound if its bytes are gone
  /// before it has landed.
  Result<void> lock();

  // With the lock:

  /// Appends behind what was written since the lock was taken; what counts is the offset.
  Result<void> write(std::span<const std::byte> data);
  std::uint64_t written() const { return written_; }
  /// All that was written counts.
  Result<void> keep_written();
  /// Nothing does that was not kept.
  Result<void> forget_written();
  /// Reads all, from the beginning to the offset.
  Result<void> read(const std::function<Result<void>(std::span<const std::byte>)>& reader) const;
  Result<void> note_landed(const std::string& file);
  /// For good. Also without the lock if that is kNotFound.
  Result<void> remove();
  bool is_removed() const { return is_removed_; }

 private:
  Result<void> look();
  fs::path file(const char* extension) const { return directory_ / (id_ + extension); }

  fs::path directory_{};
  std::string id_{};
  UploadTerms terms_{};
  std::uint64_t offset_ = 0;
  std::uint64_t written_ = 0;
  std::string landed_{};
  Timestamp touched_{};
  bool is_removed_ = false;
  std::optional<FileLock> lock_{};
};

}  // namespace ferry::http
