// The two tables and an index of them.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "ferry/metastore/records.h"
#include "metastore/jsonl/index/index.h"
#include "metastore/jsonl/tables/directory.h"
#include "metastore/jsonl/tables/layout.h"
#include "metastore/jsonl/tables/table.h"

namespace ferry::metastore {

/// The names of the tables' files.
struct TableFiles {
  std::string registry = table_file(kRegistryTable);
  std::string transfers = table_file(kTransferTable);
};

/// What goes wrong with the index is kept by its database; results tell of the tables, and are
/// kCorrupt if the index does not fit them.
class IndexedTables {
 public:
  /// DIRECTORY outlives it.
  IndexedTables(const Directory& directory, Index index, const TableFiles& files = {});

  Index& index() { return index_; }
  Table& registry() { return registry_; }
  Table& transfers() { return transfers_; }

  /// How the index, as it is in the current transaction, fits the tables that are there now.
  Result<Table::Fit> compare();

  /// BYTES of TOTAL were read.
  using Progress = std::function<void(std::uint64_t bytes, std::uint64_t total)>;
  /// In a writing transaction, after compare() has said kGrown: folds what is new. False: a table
  /// was replaced meanwhile.
  Result<bool> fold(const Progress& progress = {});
  /// From here on the files that rows are entered for are appended to CHANGED, with repetitions;
  /// null: nobody wants to know.
  void tell_changes(std::vector<FileNumber>* changed) { changed_ = changed; }
  /// From now on tables are not folded beyond these offsets.
  void stop_at(std::uint64_t registry_offset, std::uint64_t transfers_offset);
  /// The same for a row that will be appended at OFFSET.
  Result<void> enter(const FileRecord& row, std::uint64_t offset);
  Result<void> enter(const TransferRecord& row, std::uint64_t offset);

  // How far the tables are folded; for whoever appends to them.
  Position& registry_position() { return registry_position_; }
  Position& transfers_position() { return transfers_position_; }
  void note_positions();

  /// The row of the registry, or of the logs, that stands at OFFSET and is about ID.
  Result<FileRecord> file_row(std::uint64_t offset, std::string_view id);
  Result<TransferRecord> transfer_row(std::uint64_t offset, std::string_view id);

 private:
  template <typename Row>
  Result<void> fold_table(Table& table, Position& position, std::uint64_t end,
                          Result<Row> (*parse)(std::string_view),
                          const std::function<void(std::uint64_t)>& progress);
  void report_damage(const DamagedRow& row, std::uint64_t number);
  void note_changed(FileNumber number);

  Index index_;
  Table registry_;
  Table transfers_;
  Position registry_position_;
  Position transfers_position_;
  std::uint64_t registry_end_ = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t transfers_end_ = std::numeric_limits<std::uint64_t>::max();
  std::vector<FileNumber>* changed_ = nullptr;
};

}  // namespace ferry::metastore
