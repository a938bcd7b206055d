#include "metastore/jsonl/tables/transaction.h"

#include <fcntl.h>

#include <algorithm>

#include "ferry/base/log.h"
#include "metastore/jsonl/tables/layout.h"

namespace ferry::metastore {
namespace {

bool is_file_row(std::string_view line) {
  return parse_file_record(line).has_value();
}
bool is_transfer_row(std::string_view line) {
  return parse_transfer_record(line).has_value();
}

Error unfit() {
  return make_error(ErrorKind::kCorrupt, "the tables are others, or were edited");
}

}  // namespace

Transaction::Transaction(const Directory& directory, IndexedTables& tables,
                         std::shared_ptr<const Viewpoint> viewpoint)
    : directory_(directory),
      tables_(tables),
      index_(tables.index()),
      viewpoint_(std::move(viewpoint)),
      snapshot_(directory, tables, *viewpoint_) {
  tables_.tell_changes(&changed_);
}

Transaction::~Transaction() {
  tables_.tell_changes(nullptr);
  index_.rollback();
}

std::optional<Error> Transaction::failure() const {
  return failure_ ? failure_ : index_.database().failure();
}

Result<void> Transaction::begin() {
  index_.begin_writing();
  return failure() ? Result<void>() : fold();
}

Result<void> Transaction::fold() {
  const auto fit = tables_.compare();
  if (!fit) return fit.error();
  if (*fit == Table::Fit::kOther) failure_ = unfit();
  if (*fit != Table::Fit::kGrown) return {};
  const auto folded = tables_.fold();
  if (folded ? !*folded : folded.error().kind == ErrorKind::kCorrupt) {
    failure_ = failure().value_or(unfit());
  } else if (!folded) {
    return folded.error();
  }
  if (changed_.size() <= kManyChanges) return {};
  forget_perspectives(index_);
  changed_.clear();
  return {};
}

Result<void> Transaction::mend_tails() {
  if (failure()) return {};
  const auto registry = tables_.registry().mend_tail(tables_.registry_position(), is_file_row);
  if (!registry) return registry.error();
  const auto transfers =
      tables_.transfers().mend_tail(tables_.transfers_position(), is_transfer_row);
  if (!transfers) return transfers.error();
  return *registry || *transfers ? fold() : Result<void>();
}

Snapshot* Transaction::find_judged(const Viewpoint& viewpoint) {
  for (const Judged& one : judged_) {
    if (one.viewpoint->fingerprint == viewpoint.fingerprint) return one.snapshot.get();
  }
  return nullptr;
}

/// What has changed in this transaction is not judged yet.
Snapshot& Transaction::add_judged(const std::shared_ptr<const Viewpoint>& viewpoint) {
  Judged& added = judged_.emplace_back();
  added.viewpoint = viewpoint;
  added.snapshot = std::make_unique<Snapshot>(directory_, tables_, *viewpoint);
  added.snapshot->perspective().bring_up_to_date();
  return *added.snapshot;
}

Snapshot& Transaction::judged_snapshot(const std::shared_ptr<const Viewpoint>& viewpoint) {
  if (Snapshot* known = find_judged(*viewpoint)) return *known;
  Snapshot& added = add_judged(viewpoint);
  Perspective* const perspective = &added.perspective();
  judge(index_, changed_, std::span(&perspective, 1));
  return added;
}

Result<FileRecord> Transaction::record(FileNumber number) {
  const auto file = index_.file(number);
  if (!file) return make_error(ErrorKind::kCorrupt, "the index has no file {}", number);
  const std::uint64_t end = tables_.registry_position().offset;
  if (file->offset < end) return snapshot_.record(*file);
  const auto rest = std::string_view(registry_.lines).substr(file->offset - end);
  auto record = parse_file_record(rest.substr(0, rest.find('\n')));
  if (record) record->landing = snapshot_.viewpoint().canonical(record->landing);
  return record;
}

Result<void> Transaction::enter(const FileRecord& row) {
  const std::uint64_t offset = tables_.registry_position().offset + registry_.lines.size();
  registry_.lines += to_line(row);
  ++registry_.count;
  return tables_.enter(row, offset);
}

Result<void> Transaction::enter(const TransferRecord& row) {
  const std::uint64_t offset = tables_.transfers_position().offset + transfers_.lines.size();
  transfers_.lines += to_line(row);
  ++transfers_.count;
  return tables_.enter(row, offset);
}

void Transaction::judge_changes() {
  std::ranges::sort(changed_);
  const auto repeated = std::ranges::unique(changed_);
  changed_.erase(repeated.begin(), repeated.end());
  std::vector<Perspective*> judged;
  for (const Judged& one : judged_) judged.push_back(&one.snapshot->perspective());
  judge(index_, changed_, judged);
  note_changes(index_, changed_, judged);
}

/// The marker is there before the rows that it stands for, and goes after those that settle them:
/// a crash in between leaves it once too often, never too seldom.
Result<bool> Transaction::commit(bool keeps_marker) {
  bool is_pending = true;
  if (keeps_marker && find_judged(*viewpoint_) == nullptr) add_judged(viewpoint_);
  judge_changes();
  if (keeps_marker) is_pending = find_judged(*viewpoint_)->perspective().has_open_files();
  index_.flush();
  if (failure()) return false;
  if (keeps_marker && is_pending) {
    if (auto marked = set_marker(directory_, true); !marked) return marked.error();
  }
  bool fits = true;
  if (auto appended = append(fits); !appended) return appended.error();
  if (fits) {
    const auto committed = index_.commit();
    if (!committed) failure_ = committed.error();
  }
  if (is_pending) return true;
  // It may be there too long, and the next transaction removes it: what was appended is appended.
  if (const auto removed = set_marker(directory_, false); !removed) {
    log::warning("marker not removed", {{"error", removed.error().message}});
  }
  return true;
}

/// FITS: the rows stand where they were entered.
Result<void> Transaction::append(bool& fits) {
  if (registry_.count > 0) {
    const auto appended =
        tables_.registry().append(tables_.registry_position(), registry_.lines, registry_.count);
    if (!appended) return appended.error();
    fits = fits && *appended;
  }
  if (transfers_.count > 0) {
    const auto appended = tables_.transfers().append(tables_.transfers_position(), transfers_.lines,
                                                     transfers_.count);
    if (!appended) return appended.error();
    fits = fits && *appended;
  }
  if (fits && registry_.count + transfers_.count > 0) tables_.note_positions();
  return {};
}

Result<void> set_marker(const Directory& directory, bool is_pending) {
  if (is_pending) {
    const auto made = directory.open_file(kPendingMarker, O_WRONLY | O_CREAT);
    return made ? Result<void>() : made.error();
  }
  const auto removed = directory.remove(kPendingMarker);
  return removed ? Result<void>() : removed.error();
}

}  // namespace ferry::metastore
