// The names of everything in a metastore's directory, relative to it.
#pragma once

#include <string>
#include <string_view>

namespace ferry::metastore {

inline constexpr std::string_view kRegistryTable = "file_registry";
inline constexpr std::string_view kTransferTable = "transfer_logs";

inline constexpr const char* kFormatFile = "metastore.json";
inline constexpr const char* kLockFile = "lock";
inline constexpr const char* kPendingMarker = "pending";
inline constexpr const char* kAgents = "agents";
/// What compactions took out of the tables, by month.
inline constexpr const char* kArchive = "archive";
/// There while a compaction gives its files their names.
inline constexpr const char* kCompactionNote = "compaction.json";
/// Fragments that were cut off tables.
inline constexpr const char* kDamaged = "damaged";
/// The tables folded; may go at any time, with the two files that SQLite keeps beside it.
inline constexpr const char* kIndexFile = "index.sqlite";
inline constexpr const char* kIndexLog = "index.sqlite-wal";
inline constexpr const char* kIndexMemory = "index.sqlite-shm";

inline std::string table_file(std::string_view table) {
  return std::string(table) + ".jsonl";
}

}  // namespace ferry::metastore
