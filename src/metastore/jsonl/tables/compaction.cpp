#include "metastore/jsonl/tables/compaction.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "metastore/jsonl/index/stored_id.h"
#include "metastore/jsonl/tables/archive.h"
#include "metastore/jsonl/tables/layout.h"

namespace ferry::metastore {
namespace {

constexpr const char* kNotes = R"(
CREATE TABLE moved(source TEXT, offset INTEGER, PRIMARY KEY(source, offset)) WITHOUT ROWID;
CREATE TABLE gone(id NOT NULL PRIMARY KEY, number INTEGER UNIQUE) WITHOUT ROWID;
BEGIN;
)";

std::int64_t to_signed(std::uint64_t value) {
  return static_cast<std::int64_t>(value);
}

bool is_gone(Database& notes, std::string_view id) {
  const StoredId key(id);
  return notes.query("SELECT 1 FROM gone WHERE id = ?", key.value()).next();
}

/// Rows that cannot be read have no id.
std::string id_of(std::string_view table, std::string_view line) {
  if (table == kRegistryTable) {
    auto row = parse_file_record(line);
    return row ? std::move(row->id) : std::string();
  }
  auto row = parse_transfer_record(line);
  return row ? std::move(row->id) : std::string();
}

Result<std::uint32_t> month_of_row(std::string_view table, std::string_view line) {
  if (table == kRegistryTable) {
    const auto row = parse_file_record(line);
    return row ? Result<std::uint32_t>(month_of(row->updated_date)) : row.error();
  }
  const auto row = parse_transfer_record(line);
  return row ? Result<std::uint32_t>(month_of(row->date)) : row.error();
}

/// A failed attempt's first row says what was claimed, and when: whether the file is to be tried
/// again depends on that.
Result<bool> begins_attempt(Table& transfers, std::uint64_t offset) {
  const auto line = transfers.line_at(offset);
  if (!line) return line.error();
  const auto row = parse_transfer_record(*line);
  return row && row->status == TransferStatus::kInProgress;
}

}  // namespace

Compaction::Compaction(const Directory& directory)
    : directory_(directory), staged_(directory, kCompactionNote) {}

Compaction::~Compaction() {
  if (!built_.empty()) discard_index(directory_, built_);
}

Result<void> Compaction::stage(Snapshot& snapshot, Timestamp since) {
  IndexedTables& tables = snapshot.tables();
  registry_end_ = tables.registry_position();
  transfers_end_ = tables.transfers_position();
  auto notes = Database::temporary_on_disk();
  if (!notes) return notes.error();
  notes_.emplace(std::move(*notes));
  notes_->execute(kNotes);
  if (registry_end_.inode != 0) {
    const auto file = staged_.add(table_file(kRegistryTable));
    if (!file) return file.error();
    registry_ = *file;
  }
  for (const DamagedRow& row : snapshot.index().damage(FileQuery::kNoLimit)) {
    if (row.table == kRegistryTable) damage_.push_back(row.offset);
    ++outcome_.rows_after;
  }
  std::ranges::sort(damage_, std::greater<>());
  outcome_.rows_after += snapshot.index().orphans();
  if (auto sorted = sort_files(snapshot, since); !sorted) return sorted;
  if (auto sorted = sort_deliveries(snapshot); !sorted) return sorted;
  outcome_.rows_before += outcome_.rows_after;
  outcome_.bytes_before = registry_end_.offset + transfers_end_.offset;
  outcome_.bytes_after = outcome_.bytes_before;
  if (!is_worth_while()) return {};
  if (auto written = write_archive(tables.registry(), tables.transfers()); !written) return written;
  if (auto written = write_transfers(tables.transfers(), transfers_end_.offset); !written) {
    return written;
  }
  outcome_.bytes_after = (registry_ != nullptr ? registry_->size() : 0) +
                         (transfers_ != nullptr ? transfers_->size() : 0);
  if (const auto& failure = notes_->failure()) return *failure;
  return staged_.sync();
}

void Compaction::move(std::string_view table, std::uint64_t offset) {
  notes_->run("INSERT INTO moved VALUES(?, ?)", table, to_signed(offset));
  ++outcome_.rows_before;
}

/// Files stay in the order in which the registry named them first, which says which version of a
/// path is the latest; rows that cannot be read stay among them.
Result<void> Compaction::sort_files(Snapshot& snapshot, Timestamp since) {
  Table& registry = snapshot.tables().registry();
  Result<void> outcome;
  snapshot.index().for_each_file([&](const KnownFile& file) {
    const auto rows = snapshot.index().registry_rows(file.number);
    if (outcome) outcome = keep_damage(registry, rows.front());
    if (!outcome) return;
    for (std::size_t i = 0; i + 1 < rows.size(); ++i) move(kRegistryTable, rows[i]);
    if (is_settled_in(snapshot, file, since)) {
      const StoredId id(file.record.id);
      notes_->run("INSERT INTO gone VALUES(?, ?)", id.value(), file.number);
      move(kRegistryTable, file.offset);
    } else {
      outcome = keep_row(registry, file.offset);
      ++outcome_.rows_after;
    }
  });
  return outcome ? keep_damage(registry, registry_end_.offset) : outcome;
}

bool Compaction::is_settled_in(Snapshot& snapshot, const KnownFile& file, Timestamp since) {
  if (file.record.state == FileState::kQuarantined || file.record.updated_date >= since) {
    return false;
  }
  const FileRecord outline = snapshot.outline(file);
  const bool is_latest = outline.state == FileState::kReady &&
                         snapshot.latest(outline.landing, outline.path) == file.number;
  if (is_latest) return false;
  return is_settled(outline, snapshot.deliveries(file.number), is_latest, snapshot.demand(), since);
}

Result<void> Compaction::sort_deliveries(Snapshot& snapshot) {
  Table& transfers = snapshot.tables().transfers();
  Result<void> outcome;
  snapshot.index().for_each_delivery([&](const Index::DeliveryRows& delivery) {
    if (!outcome) return;
    std::vector<std::uint64_t> rows = delivery.rows;
    auto gone = notes_->query("SELECT 1 FROM gone WHERE number = ?", delivery.file);
    if (!gone.next()) {
      rows.pop_back();
      ++outcome_.rows_after;
      if (delivery.status == TransferStatus::kFailed && !rows.empty()) {
        const auto begins = begins_attempt(transfers, rows.back());
        if (!begins) outcome = begins.error();
        if (begins && *begins) {
          rows.pop_back();
          ++outcome_.rows_after;
        }
      }
    }
    for (const std::uint64_t offset : rows) move(kTransferTable, offset);
  });
  return outcome;
}

Result<void> Compaction::keep_damage(Table& registry, std::uint64_t before) {
  while (!damage_.empty() && damage_.back() < before) {
    auto kept = registry.copy_line(
        damage_.back(), [&](std::string_view bytes) { return registry_->append(bytes); });
    if (!kept) return kept;
    damage_.pop_back();
  }
  return {};
}

Result<void> Compaction::keep_row(Table& table, std::uint64_t offset) {
  const auto line = table.line_at(offset);
  if (!line) return line.error();
  if (auto kept = registry_->append(*line); !kept) return kept;
  return registry_->append("\n");
}

Result<void> Compaction::write_archive(Table& registry, Table& transfers) {
  std::map<std::pair<std::string, std::uint32_t>, StagedFile*> parts;
  auto moved = notes_->query("SELECT source, offset FROM moved ORDER BY source, offset");
  while (moved.next()) {
    const std::string table(moved.text(0));
    Table& from = table == kRegistryTable ? registry : transfers;
    const auto line = from.line_at(static_cast<std::uint64_t>(moved.integer(1)));
    if (!line) return line.error();
    const auto month = month_of_row(table, *line);
    if (!month) return month.error();
    StagedFile*& part = parts[{table, *month}];
    if (part == nullptr) {
      const auto added = staged_.add(new_archive_part(table, *month));
      if (!added) return added.error();
      part = *added;
    }
    if (auto copied = part->append(*line); !copied) return copied;
    if (auto copied = part->append("\n"); !copied) return copied;
  }
  return {};
}

/// What lies between the rows that go.
Result<void> Compaction::write_transfers(Table& transfers, std::uint64_t end) {
  if (transfers_end_.inode == 0) return {};
  const auto file = staged_.add(table_file(kTransferTable));
  if (!file) return file.error();
  transfers_ = *file;
  const auto keep = [&](std::string_view bytes) { return transfers_->append(bytes); };
  std::uint64_t from = 0;
  auto moved =
      notes_->query("SELECT offset FROM moved WHERE source = ? ORDER BY offset", kTransferTable);
  while (moved.next()) {
    const auto offset = static_cast<std::uint64_t>(moved.integer(0));
    if (auto copied = transfers.copy(from, offset, keep); !copied) return copied;
    const auto line = transfers.line_at(offset);
    if (!line) return line.error();
    from = offset + line->size() + 1;
  }
  return transfers.copy(from, end, keep);
}

Result<void> Compaction::index(const Viewpoint& viewpoint,
                               const IndexedTables::Progress& progress) {
  TableFiles files;
  if (registry_ != nullptr) files.registry = registry_->temporary_name();
  if (transfers_ != nullptr) files.transfers = transfers_->temporary_name();
  auto built = build_index(directory_, files, progress, &viewpoint);
  if (!built) return built.error();
  built_ = std::move(*built);
  return {};
}

Result<bool> Compaction::finish(IndexedTables& tables) {
  if (is_finished_) return true;
  const auto registry =
      add_tail(tables.registry(), registry_end_, tables.registry_position(), registry_);
  if (!registry || !*registry) return registry;
  const auto transfers =
      add_tail(tables.transfers(), transfers_end_, tables.transfers_position(), transfers_);
  if (!transfers || !*transfers) return transfers;
  // Whatever happens from here on, the new tables are whole; an index that does not fit them is
  // built anew.
  if (auto committed = staged_.commit(); !committed) return committed.error();
  is_finished_ = true;
  if (!built_.empty() && install_index(directory_, built_)) built_.clear();
  return true;
}

Result<bool> Compaction::add_tail(Table& table, const Position& from, const Position& now,
                                  StagedFile* to) {
  const bool was_there = from.inode != 0;
  const bool is_same = from.device == now.device && from.inode == now.inode;
  if (was_there && (!is_same || now.offset < from.offset)) return false;
  bool has_news_of_gone = false;
  Position position = from;
  auto read = table.read(
      position,
      [&](const Table::Line& line) {
        has_news_of_gone = has_news_of_gone || is_gone(*notes_, id_of(table.name(), line.text));
      },
      now.offset);
  if (!read) return read.error();
  if (has_news_of_gone) return false;
  if (to == nullptr) return true;
  auto copied = table.copy(from.offset, now.offset,
                           [&](std::string_view bytes) { return to->append(bytes); });
  if (!copied) return copied.error();
  return true;
}

}  // namespace ferry::metastore
