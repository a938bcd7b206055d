// Which index is used: the shared one if that can be had, else one of our own.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>

#include "ferry/base/result.h"
#include "metastore/jsonl/index/index_files.h"
#include "metastore/jsonl/index/snapshot.h"
#include "metastore/jsonl/tables/directory.h"

namespace ferry::metastore {

/// For transactions. Not thread-safe.
class WorkingIndex {
 public:
  /// DIRECTORY outlives it. ON_READING is told while tables are read anew.
  WorkingIndex(const Directory& directory, IndexedTables::Progress on_reading,
               std::chrono::milliseconds lock_timeout);

  /// Opens the shared one or builds it; makes one of our own where that cannot be. To be called
  /// without the lock.
  Result<void> make_ready();
  /// Whether tables() are still those that everybody uses. To be called under the lock.
  bool is_in_place() const;
  IndexedTables& tables() { return works_on_own_ ? *own_ : shared_->tables; }

  /// What to do instead is up to the next make_ready().
  void failed(const Error& failure);

  /// One of our own, in any case, for questions.
  Result<IndexedTables*> own_tables();
  void own_failed();

  /// Moves on what commits to the shared one have left, where it is worth while. To be called
  /// without the lock.
  void checkpoint();

 private:
  Result<void> build();
  Result<void> work_on_own(const Error& why);

  const Directory& directory_;
  const IndexedTables::Progress on_reading_;
  const std::chrono::milliseconds lock_timeout_;

  std::optional<SharedIndex> shared_;
  std::optional<IndexedTables> own_;
  bool works_on_own_ = false;
  bool is_own_from_tables_ = false;  // what the shared one says is not to be trusted
  std::optional<Error> failure_;
  std::chrono::steady_clock::time_point own_until_;
  std::chrono::seconds own_for_{60};
};

/// For questions: a snapshot of the shared index, if it is up to date. Not thread-safe.
class ReadIndex {
 public:
  explicit ReadIndex(const Directory& directory) : directory_(directory) {}

  /// False: the shared index cannot be used, or is behind the tables; or, HAS_STANDINGS, VIEWPOINT
  /// has not judged all of it. VIEWPOINT lives until end().
  Result<bool> begin(const Viewpoint& viewpoint, bool has_standings);
  Snapshot& snapshot() { return *snapshot_; }
  /// What went wrong with the index since begin().
  std::optional<Error> end();
  void close();

  /// Of the index, where begin() said false: it has to be built anew.
  const std::optional<Error>& failure() const { return failure_; }

 private:
  const Directory& directory_;
  std::optional<SharedIndex> shared_;
  std::optional<Snapshot> snapshot_;
  std::optional<Error> failure_;
};

}  // namespace ferry::metastore
