// Taking out of the tables what nobody needs any more, into archive/.
//
// New tables, the parts of the archive, and an index of the new tables are made beside the present
// ones, from what the tables have at that time. Nobody waits for that. Under the lock what was
// appended since is added, and everything gets its name.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ferry/metastore/metastore.h"
#include "metastore/jsonl/index/index_files.h"
#include "metastore/jsonl/index/snapshot.h"
#include "metastore/jsonl/tables/staged_files.h"

namespace ferry::metastore {

class Compaction {
 public:
  /// DIRECTORY outlives it.
  explicit Compaction(const Directory& directory);
  Compaction(const Compaction&) = delete;
  Compaction& operator=(const Compaction&) = delete;
  ~Compaction();  // removes what did not get its name

  /// Sorts the rows of a snapshot into those that stay and those that go, and writes both.
  Result<void> stage(Snapshot& snapshot, Timestamp since);
  const Upkeep::Compaction& outcome() const { return outcome_; }
  bool is_worth_while() const { return outcome_.rows_after < outcome_.rows_before; }

  /// Makes the index of the new tables, in which VIEWPOINT has judged all.
  Result<void> index(const Viewpoint& viewpoint, const IndexedTables::Progress& progress);

  /// Under the lock, with TABLES as they are now: finishes. False: they are others, or a file that
  /// goes has news; all has to be done again.
  Result<bool> finish(IndexedTables& tables);

 private:
  Result<void> sort_files(Snapshot& snapshot, Timestamp since);
  static bool is_settled_in(Snapshot& snapshot, const KnownFile& file, Timestamp since);
  Result<void> sort_deliveries(Snapshot& snapshot);
  Result<void> keep_damage(Table& registry, std::uint64_t before);
  Result<void> keep_row(Table& table, std::uint64_t offset);
  void move(std::string_view table, std::uint64_t offset);
  Result<void> write_archive(Table& registry, Table& transfers);
  Result<void> write_transfers(Table& transfers, std::uint64_t end);
  Result<bool> add_tail(Table& table, const Position& from, const Position& now, StagedFile* to);

  const Directory& directory_;
  StagedFiles staged_;
  std::optional<Database> notes_;    // which rows move, and which files go
  StagedFile* registry_ = nullptr;   // null: there is no such table
  StagedFile* transfers_ = nullptr;  // likewise
  Position registry_end_;
  Position transfers_end_;
  std::vector<std::uint64_t> damage_;  // offsets in the registry of rows that are not kept yet
  std::string built_;                  // the new index
  bool is_finished_ = false;
  Upkeep::Compaction outcome_;
};

}  // namespace ferry::metastore
