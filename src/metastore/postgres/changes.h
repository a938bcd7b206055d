// What a transaction enters: rows into the two tables, and what follows from them into the others.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "ferry/base/histogram.h"
#include "metastore/postgres/routes.h"
#include "metastore/postgres/snapshot.h"

namespace ferry::metastore::postgres {

/// Sums over successful deliveries to one destination.
struct Delivered {
  std::int64_t files = 0;
  std::int64_t bytes = 0;
  Histogram durations;
  Histogram latencies;

  void add(const DeliveryRow& delivery, std::int64_t registered, std::int64_t times);
  bool operator==(const Delivered&) const = default;
};

Result<void> enter_delivered(Connection& connection, const std::map<std::string, Delivered>& sums);
Result<std::map<std::string, Delivered>> delivered(Connection& connection);
/// In rows of destination, files, bytes, durations, latencies.
std::map<std::string, Delivered> delivered_in(const Rows& rows);

/// Files are changed in memory at once, and in the database by write.
class Changes {
 public:
  /// VIEWS judge what changes; others are told that it changed. All outlive it.
  Changes(Snapshot& snapshot, std::vector<const Viewpoint*> views)
      : snapshot_(snapshot), views_(std::move(views)) {}

  /// To be called first.
  Result<void> begin();

  /// FILE is locked. The pointer stays valid.
  KnownFile* add(KnownFile file);
  KnownFile* find(FileNumber number);

  /// The path has versions up to this one; none is 0. Saves a question for each path.
  void note_version(const PathKey& path, std::int64_t version);

  /// A version whose id is new.
  Result<KnownFile*> enter_new(const FileRecord& row);
  /// A row for a file that has been added.
  Result<void> enter(KnownFile& file, const FileRecord& row);
  /// Null: the registry does not know the row's file.
  void enter(KnownFile* file, const TransferRecord& row);
  /// What the logs said of a new file before it was registered.
  void fold_earlier(KnownFile& file, const TransferRecord& row, std::int64_t number);

  Result<void> write();

 private:
  struct Change {
    KnownFile known;
    bool is_new = false;
    bool is_changed = false;
  };

  void enter_delivery(KnownFile& file, const TransferRecord& row, std::int64_t number);
  Result<std::int64_t> next_version(const PathKey& path);
  Change& change_of(KnownFile& file);
  Result<void> number_rows();
  Result<void> write_rows();
  Result<void> write_files();
  Result<void> write_deliveries();
  Result<void> judge();
  Result<void> tell();

  Snapshot& snapshot_;
  std::vector<const Viewpoint*> views_;
  std::vector<Route> routes_;
  std::deque<Change> changes_;
  std::unordered_map<FileNumber, Change*> by_number_;
  std::unordered_map<const KnownFile*, Change*> by_pointer_;
  std::map<PathKey, std::int64_t> last_versions_;
  std::vector<FileRecord> registry_;
  std::vector<std::int64_t> registry_rows_;  // their numbers
  std::vector<TransferRecord> transfers_;
  std::vector<std::int64_t> transfer_rows_;
  std::unordered_set<const DeliveryRow*> fresh_;  // those that write_deliveries has to write
  std::map<std::string, Delivered> delivered_;
  std::vector<std::pair<Rejudgement, bool>> rejudgements_;  // and whether files have standings
  std::vector<std::int64_t> others_;                        // routes that judge later
};

/// Which versions CHANGES need not ask for: VERSIONS are those of KEYS.
void note_versions(const std::vector<PathKey>& keys,
                   const std::vector<std::vector<Version>>& versions, Changes& changes);

/// The files with these ids that there are, locked and in CHANGES: outlines.
using FilesById = std::map<std::string, KnownFile*>;
Result<FilesById> lock_ids(Snapshot& snapshot, Changes& changes,
                           const std::vector<std::string>& ids);

/// Between rows of the logs whose file is not registered, and files that get registered under ids
/// of others: taken by both.
Result<void> lock_strangers(Connection& connection);

/// A running agent has it, for whichever destination.
bool is_held(std::span<const Delivery> deliveries);

}  // namespace ferry::metastore::postgres
