// Under the metastore's lock: looks at what the tables have now, enters rows, and appends them.
//
// Rows are entered into the index at once, so that all that is asked afterwards knows them, and are
// appended to the tables in the end; the index is committed last. So a crash leaves it behind the
// tables, never ahead.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "metastore/jsonl/index/snapshot.h"

namespace ferry::metastore {

class Transaction {
 public:
  /// All outlive it. Nothing is done yet.
  Transaction(const Directory& directory, IndexedTables& tables,
              std::shared_ptr<const Viewpoint> viewpoint);
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  ~Transaction();  // what was not committed is rolled back

  /// Folds what the tables have. An error is the tables'; the index's is in failure().
  Result<void> begin();
  /// Ends last lines that a crash tore.
  Result<void> mend_tails();

  IndexedTables& tables() { return tables_; }
  /// Of what there is, and of what was entered.
  Snapshot& snapshot() { return snapshot_; }
  /// The same for questions about where files stand, as VIEWPOINT sees it, before anything was
  /// entered.
  Snapshot& judged_snapshot(const std::shared_ptr<const Viewpoint>& viewpoint);

  /// The whole record of a file, also of one that was just entered.
  Result<FileRecord> record(FileNumber number);

  Result<void> enter(const FileRecord& row);
  Result<void> enter(const TransferRecord& row);

  /// Appends what was entered. With KEEPS_MARKER it puts the `pending` marker right. An error:
  /// nothing was appended, or not all. False: nothing was, because the index has failed. Once all
  /// is appended the outcome is true, even if the index is behind the tables then: see failure().
  Result<bool> commit(bool keeps_marker);

  /// What is wrong with the index: kCorrupt if it has to be built anew.
  std::optional<Error> failure() const;

 private:
  /// Rows on their way into a table.
  struct Group {
    std::string lines;
    std::uint64_t count = 0;
  };
  struct Judged {
    std::shared_ptr<const Viewpoint> viewpoint;
    std::unique_ptr<Snapshot> snapshot;
  };

  Snapshot* find_judged(const Viewpoint& viewpoint);
  Snapshot& add_judged(const std::shared_ptr<const Viewpoint>& viewpoint);
  Result<void> fold();
  Result<void> append(bool& fits);
  void judge_changes();

  const Directory& directory_;
  IndexedTables& tables_;
  Index& index_;
  std::shared_ptr<const Viewpoint> viewpoint_;
  Snapshot snapshot_;
  std::vector<Judged> judged_;
  std::vector<FileNumber> changed_;
  Group registry_;
  Group transfers_;
  std::optional<Error> failure_;
};

/// Makes the `pending` marker, or removes it.
Result<void> set_marker(const Directory& directory, bool is_pending);

}  // namespace ferry::metastore
