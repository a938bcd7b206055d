// The names of everything in a metastore's directory.
#pragma once

#include <string>
#include <string_view>

#include "ferry/base/file.h"

namespace ferry::metastore {

inline constexpr std::string_view kRegistryTable = "file_registry";
inline constexpr std::string_view kTransferTable = "transfer_logs";
inline constexpr const char* kArchive = "archive";

struct Layout {
  fs::path directory;

  fs::path format() const { return directory / "metastore.json"; }
  fs::path table(std::string_view name) const { return directory / (std::string(name) + ".jsonl"); }
  fs::path lock() const { return directory / "lock"; }
  fs::path pending_marker() const { return directory / "pending"; }
  fs::path agents() const { return directory / "agents"; }
  fs::path batches() const { return directory / "batches"; }
  /// What compactions took out of the tables, by month.
  fs::path archive() const { return directory / kArchive; }
  /// There while a compaction gives its files their names.
  fs::path compaction_note() const { return directory / "compaction.json"; }
  /// Fragments that were cut off tables.
  fs::path damaged() const { return directory / "damaged"; }
};

}  // namespace ferry::metastore
