#include "metastore/jsonl/index/indexed_tables.h"

#include <algorithm>

#include "ferry/base/log.h"
#include "metastore/jsonl/tables/layout.h"
#include "metastore/jsonl/tables/parsed_rows.h"

namespace ferry::metastore {
namespace {

constexpr std::uint64_t kReportsPerReading = 10;
constexpr std::uint64_t kLinesPerProgress = 8192;

}  // namespace

IndexedTables::IndexedTables(const Directory& directory, Index index, const TableFiles& files)
    : index_(std::move(index)),
      registry_(directory, kRegistryTable, files.registry),
      transfers_(directory, kTransferTable, files.transfers) {}

Result<Table::Fit> IndexedTables::compare() {
  registry_position_ = index_.position(kRegistryTable);
  transfers_position_ = index_.position(kTransferTable);
  const auto registry = registry_.compare(registry_position_);
  if (!registry) return registry.error();
  const auto transfers = transfers_.compare(transfers_position_);
  if (!transfers) return transfers.error();
  return std::max(*registry, *transfers);
}

void IndexedTables::stop_at(std::uint64_t registry_offset, std::uint64_t transfers_offset) {
  registry_end_ = registry_offset;
  transfers_end_ = transfers_offset;
}

Result<bool> IndexedTables::fold(const Progress& progress) {
  std::uint64_t total = 0;
  if (progress) {
    for (Table* table : {&registry_, &transfers_}) {
      const auto size = table->size();
      if (!size) return size.error();
      total += *size;
    }
  }
  const auto in_registry = [&](std::uint64_t offset) {
    if (progress) progress(offset, total);
  };
  if (auto done =
          fold_table(registry_, registry_position_, registry_end_, &parse_file_record, in_registry);
      !done) {
    return done.error();
  }
  const auto in_transfers = [&](std::uint64_t offset) {
    if (progress) progress(registry_position_.offset + offset, total);
  };
  if (auto done = fold_table(transfers_, transfers_position_, transfers_end_,
                             &parse_transfer_record, in_transfers);
      !done) {
    return done.error();
  }
  // The two belong together: a compaction replaces both.
  for (const Table* table : {&registry_, &transfers_}) {
    const auto replaced = table->is_replaced();
    if (!replaced) return replaced.error();
    if (*replaced) return false;
  }
  note_positions();
  if (progress) progress(total, total);
  return true;
}

template <typename Row>
Result<void> IndexedTables::fold_table(Table& table, Position& position, std::uint64_t end,
                                       Result<Row> (*parse)(std::string_view),
                                       const std::function<void(std::uint64_t)>& progress) {
  std::uint64_t damaged = 0;
  const auto take = [&](const ParsedRow<Row>& parsed) -> Result<void> {
    if (parsed.number % kLinesPerProgress == 0) progress(parsed.offset);
    if (parsed.row) return enter(*parsed.row, parsed.offset);
    report_damage({.table = table.name(),
                   .line = parsed.number,
                   .offset = parsed.offset,
                   .reason = parsed.row.error().message},
                  ++damaged);
    return {};
  };
  auto read = ParsedRows<Row>(table, parse).read(position, end, take);
  if (damaged > kReportsPerReading) {
    log::warning("more damaged rows left out",
                 {{"table", table.name()}, {"rows", damaged - kReportsPerReading}});
  }
  return read;
}

void IndexedTables::report_damage(const DamagedRow& row, std::uint64_t number) {
  if (number <= kReportsPerReading) {
    log::warning("damaged row left out",
                 {{"table", row.table}, {"line", row.line}, {"reason", row.reason}});
  }
  index_.enter_damage(row.table, row);
}

Result<void> IndexedTables::enter(const FileRecord& row, std::uint64_t offset) {
  bool is_new = false;
  const FileNumber number = index_.enter(row, offset, is_new);
  note_changed(number);
  if (!is_new) return {};
  for (const std::uint64_t early : index_.take_orphans(row.id)) {
    const auto delivery = transfer_row(early, row.id);
    if (!delivery) return delivery.error();
    index_.enter(*delivery, early);
  }
  return {};
}

Result<void> IndexedTables::enter(const TransferRecord& row, std::uint64_t offset) {
  if (const auto number = index_.enter(row, offset)) note_changed(*number);
  return {};
}

void IndexedTables::note_changed(FileNumber number) {
  if (changed_ != nullptr && (changed_->empty() || changed_->back() != number)) {
    changed_->push_back(number);
  }
}

void IndexedTables::note_positions() {
  index_.set_position(kRegistryTable, registry_position_);
  index_.set_position(kTransferTable, transfers_position_);
}

namespace {

template <typename Row>
Result<Row> row_at(Table& table, std::uint64_t offset, std::string_view id,
                   Result<Row> (*parse)(std::string_view)) {
  const auto line = table.line_at(offset);
  if (!line) return line.error();
  auto row = parse(*line);
  if (row && row->id == id) return row;
  return make_error(ErrorKind::kCorrupt, "the index does not fit the table {}", table.name());
}

}  // namespace

Result<FileRecord> IndexedTables::file_row(std::uint64_t offset, std::string_view id) {
  return row_at(registry_, offset, id, &parse_file_record);
}

Result<TransferRecord> IndexedTables::transfer_row(std::uint64_t offset, std::string_view id) {
  return row_at(transfers_, offset, id, &parse_transfer_record);
}

}  // namespace ferry::metastore
