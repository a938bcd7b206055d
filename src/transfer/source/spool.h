// Where transformed files wait to be sent: a bounded cache in a directory.
//
// An entry is named after what it was made from and after its own SHA-256. It is complete: it gets
// its name when all of it is written. It is not synced; whoever finds an entry of an
// earlier run reads it once and holds it against its name. Entries may be removed by anybody at any
// time: they are made again. Several processes may share a spool.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
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
#include "transfer/source/landing_roots.h"
#include "transfer/source/source.h"

namespace ferry::transfer {

/// What the entry for a file on its way through a route's transforms is called: the same file
/// version and transforms with the same output have the same key.
std::string spool_key(const metastore::FileRecord& file, const Route& route);

struct SpoolEntry {
  std::string name;
  CheckedSource content;
};

/// Thread-safe: the agents of one process share it, so that what two destinations want is made
/// once.
class Spool {
 public:
  /// Makes DIRECTORY, which is ours alone, if it is missing, and removes what writers left behind
  /// that were killed.
  static Result<std::unique_ptr<Spool>> open(const fs::path& directory, std::uint64_t limit_bytes);

  /// To open entries below.
  const LandingRoot& root() const { return root_; }
  const fs::path& directory() const { return directory_; }
  std::uint64_t limit_bytes() const { return limit_bytes_; }

  /// While it lives nobody else in this process makes the entry of KEY.
  class Making {
   public:
    Making(Spool& spool, std::string key);
    Making(const Making&) = delete;
    Making& operator=(const Making&) = delete;
    ~Making();

   private:
    Spool& spool_;
    const std::string key_;
  };

  /// A whole entry of this key, which stays until it is released as often as it was held.
  std::optional<SpoolEntry> find_and_hold(const std::string& key);
  void hold(const std::string& name);
  /// IS_DONE: nobody else will want it.
  void release(const std::string& name, bool is_done);
  bool holds_any() const;

  /// Makes sure that BYTES more are within the limit; removes what nobody holds, oldest first.
  bool make_room(std::uint64_t bytes);

  bool is_empty() const;
  /// Removes the entries whose key is not in KEYS and that nobody holds.
  void keep_only(const std::set<std::string, std::less<>>& keys);

 private:
  Spool(fs::path directory, UniqueFd fd, std::uint64_t limit_bytes)
      : directory_(std::move(directory)), root_(std::move(fd)), limit_bytes_(limit_bytes) {}
  int fd() const { return root_.fd(); }
  void remove(const std::string& name) const;
  void remove_stale() const;

  const fs::path directory_;
  const LocalRoot root_;
  const std::uint64_t limit_bytes_;
  mutable std::mutex mutex_;
  std::condition_variable made_;
  std::set<std::string> making_;
  std::map<std::string, unsigned> held_;  // by name, how often
  std::uint64_t used_bytes_ = 0;          // as of the last look, and what was allowed since
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
