// How a PostgresMetastore is copied, row by row.
#include <set>

#include "metastore/postgres/postgres_metastore.h"

namespace ferry::metastore::postgres {
namespace {

constexpr std::int64_t kPage = 5'000;

/// Rows of the archive are a part of the same numbering; a compaction leaves gaps in the tables.
Result<Rows> page_of(Connection& connection, std::string_view columns, std::string_view alias,
                     std::string_view table, std::int64_t after) {
  Parameters from;
  from.add(after).add(kPage);
  return connection.run(fmt::format("SELECT {0} FROM {2} {1} WHERE {1}.row > $1::bigint ORDER BY "
                                    "{1}.row LIMIT $2::bigint",
                                    columns, alias, table),
                        from);
}

template <typename Visitor, typename Read>
Result<void> visit_table(Database& database, std::string_view columns, std::string_view alias,
                         std::string_view table, Read read, const Visitor& visitor) {
  for (std::int64_t after = -1;;) {
    auto page = database.read(
        [&](Connection& connection) { return page_of(connection, columns, alias, table, after); });
    if (!page) return page.error();
    if (page->count() == 0) return {};
    for (std::size_t i = 0; i < page->count(); ++i) {
      if (auto visited = visitor(read(*page, i, 0)); !visited) return visited;
    }
    after = page->integer(page->count() - 1, 0);
  }
}

}  // namespace

Result<void> PostgresMetastore::visit_file_rows(const FileRowVisitor& visitor) {
  for (const char* table : {"file_registry_archive", "file_registry"}) {
    auto visited =
        visit_table(database_, FERRY_REGISTRY_COLUMNS, "r", table, &file_record, visitor);
    if (!visited) return visited;
  }
  return {};
}

Result<void> PostgresMetastore::visit_transfer_rows(const TransferRowVisitor& visitor) {
  for (const char* table : {"transfer_logs_archive", "transfer_logs"}) {
    auto visited =
        visit_table(database_, FERRY_TRANSFER_COLUMNS, "l", table, &transfer_record, visitor);
    if (!visited) return visited;
  }
  return {};
}

Result<void> PostgresMetastore::append_file_rows(std::span<const FileRecord> rows) {
  std::set<std::string> ids;
  for (const FileRecord& row : rows) ids.insert(row.id);
  return change({view()}, [&](Snapshot& snapshot, Changes& changes) -> Result<void> {
    auto files = lock_ids(snapshot, changes, {ids.begin(), ids.end()});
    if (!files) return files.error();
    std::vector<PathKey> keys;
    for (const FileRecord& row : rows) keys.push_back({row.landing, row.path});
    const auto versions = snapshot.versions(keys);
    if (!versions) return versions.error();
    note_versions(keys, *versions, changes);
    for (const FileRecord& row : rows) {
      const auto known = files->find(row.id);
      if (known != files->end()) {
        if (auto entered = changes.enter(*known->second, row); !entered) return entered;
        continue;
      }
      const auto entered = changes.enter_new(row);
      if (!entered) return entered.error();
      files->emplace(row.id, *entered);
    }
    return {};
  });
}

Result<void> PostgresMetastore::append_transfer_rows(std::span<const TransferRecord> rows) {
  std::set<std::string> ids;
  for (const TransferRecord& row : rows) ids.insert(row.id);
  return change({view()}, [&](Snapshot& snapshot, Changes& changes) -> Result<void> {
    const auto files = lock_ids(snapshot, changes, {ids.begin(), ids.end()});
    if (!files) return files.error();
    if (auto looked = snapshot.look_who_lives(); !looked) return looked;
    for (const TransferRecord& row : rows) {
      const auto file = files->find(row.id);
      changes.enter(file == files->end() ? nullptr : file->second, row);
    }
    return {};
  });
}

}  // namespace ferry::metastore::postgres
