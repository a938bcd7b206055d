// Where transformed files wait to be sent: a bounded cache in a directory.
//
// An entry is named after what it was made from and after its own SHA-256. It is complete: it gets
// its name when all of it is written. It is not synced; whoever finds an entry of an
// earlier run reads it once and holds it against its name. Entries may be removed by anybody at any
// time: they are made again. Several processes may share a spool.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "ferry/base/fd.h"
#include "ferry/base/file.h"
#include "ferry/base/hash.h"
#include "ferry/base/lock.h"
#include "ferry/base/result.h"
#include "ferry/metastore/records.h"
#include "ferry/transfer/routes.h"
#include "transfer/landing_roots.h"
#include "transfer/source.h"

namespace ferry::transfer {

/// What the entry for a file on its way through a route's transforms is called: the same file
/// version and transforms with the same output have the same key.
std::string spool_key(const metastore::FileRecord& file, const Route& route);

struct SpoolEntry {
  std::string name;
  CheckedSource content;
};

class Spool {
 public:
  /// Makes DIRECTORY, which is ours alone, where it is missing, and removes what writers left
  /// behind that were killed.
  static Result<Spool> open(const fs::path& directory, std::uint64_t limit_bytes);

  /// To open entries below.
  const LandingRoot& root() const { return root_; }
  const fs::path& directory() const { return directory_; }
  std::uint64_t limit_bytes() const { return limit_bytes_; }

  /// An entry that was there when the spool was opened, and is whole.
  std::optional<SpoolEntry> find(const std::string& key) const;

  void remove(const std::string& name) const;
  bool is_empty() const;
  /// Bytes in it, what is being written included.
  std::uint64_t used_bytes() const;
  /// Removes the entries whose key is not in KEYS.
  void keep_only(const std::set<std::string, std::less<>>& keys) const;
  /// Removes entries but those that IS_KEPT names, oldest first, until BYTES are used at most.
  void shrink_to(std::uint64_t bytes, const std::function<bool(const std::string&)>& is_kept) const;

 private:
  Spool(fs::path directory, UniqueFd fd, std::uint64_t limit_bytes)
      : directory_(std::move(directory)),
        root_{.directory = std::move(fd), .location = nullptr},
        limit_bytes_(limit_bytes) {}
  int fd() const { return root_.directory.get(); }
  void remove_stale() const;

  fs::path directory_;
  LandingRoot root_;
  std::uint64_t limit_bytes_;
  std::map<std::string, std::string, std::less<>> found_;  // names of entries by key
};

/// A new entry. Without commit nothing is left of it.
class SpoolWriter {
 public:
  static Result<SpoolWriter> begin(const Spool& spool, const std::string& key);
  SpoolWriter(SpoolWriter&&) noexcept = default;
  SpoolWriter& operator=(SpoolWriter&&) = delete;
  ~SpoolWriter();

  Result<void> write(std::span<const std::byte> data);
  Result<SpoolEntry> commit();

 private:
  SpoolWriter(const Spool& spool, std::string key, fs::path path, FileLock lock, UniqueFd fd)
      : spool_(&spool),
        key_(std::move(key)),
        path_(std::move(path)),
        lock_(std::move(lock)),
        fd_(std::move(fd)) {}

  const Spool* spool_;
  std::string key_;
  fs::path path_;  // empty once moved from, or named
  FileLock lock_;  // says that its writer lives
  UniqueFd fd_;
  Hasher hasher_{HashAlgorithm::kSha256};
};

}  // namespace ferry::transfer
