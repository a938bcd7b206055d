// How a JsonlMetastore is copied, row by row.
#include "metastore/jsonl/jsonl_metastore.h"
#include "metastore/jsonl/tables/archive.h"
#include "metastore/jsonl/tables/layout.h"

namespace ferry::metastore {
namespace {

/// What cannot be read stays where it is: upkeep counts it.
template <typename Row, typename Visitor>
Result<void> visit_rows(const Directory& directory, std::string_view table,
                        Result<Row> (*parse)(std::string_view line), const Visitor& visitor) {
  Result<void> outcome;
  const auto take = [&](std::string_view line) {
    if (!outcome) return;
    auto row = parse(line);
    if (row) outcome = visitor(std::move(*row));
  };
  const std::string any_line[] = {""};
  if (auto searched = search_archive(directory, table, any_line, take); !searched) return searched;
  if (!outcome) return outcome;
  Table live(directory, table);
  Position position;
  if (const auto compared = live.compare(position); !compared) return compared.error();
  auto read = live.read(position, [&](const Table::Line& line) {
    if (!line.is_too_long) take(line.text);
  });
  return read ? outcome : read;
}

}  // namespace

Result<void> JsonlMetastore::visit_file_rows(const FileRowVisitor& visitor) {
  const AsOwner owner(*directory_);
  return visit_rows(*directory_, kRegistryTable, &parse_file_record, visitor);
}

Result<void> JsonlMetastore::visit_transfer_rows(const TransferRowVisitor& visitor) {
  const AsOwner owner(*directory_);
  return visit_rows(*directory_, kTransferTable, &parse_transfer_record, visitor);
}

Result<void> JsonlMetastore::append_file_rows(std::span<const FileRecord> rows) {
  return transact([&](Transaction& transaction) -> Result<void> {
    for (const FileRecord& row : rows) {
      if (auto entered = transaction.enter(row); !entered) return entered;
    }
    return {};
  });
}

Result<void> JsonlMetastore::append_transfer_rows(std::span<const TransferRecord> rows) {
  return transact([&](Transaction& transaction) -> Result<void> {
    for (const TransferRecord& row : rows) {
      if (auto entered = transaction.enter(row); !entered) return entered;
    }
    return {};
  });
}

}  // namespace ferry::metastore
