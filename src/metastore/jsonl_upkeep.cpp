// What JsonlMetastore does with its archive.
#include "ferry/base/log.h"
#include "metastore/compaction.h"
#include "metastore/jsonl_metastore.h"

namespace ferry::metastore {
namespace {

/// Fewer rows cost too little to be worth a rewrite that nobody asked for.
constexpr std::uint64_t kMinDeadRows = 100'000;

/// Whether LINE may speak of ID without being parsed: it has the text, or escapes that may hide it.
bool may_mention(std::string_view line, std::string_view id) {
  return line.find(id) != std::string_view::npos || line.find('\\') != std::string_view::npos;
}

}  // namespace

Result<Metastore::History> JsonlMetastore::history(std::string_view id) {
  History history;
  const auto keep_if_asked_for = [&](std::string_view line, auto parse, auto& rows) {
    if (!may_mention(line, id)) return;
    if (auto row = parse(line); row && row->id == id) rows.push_back(*std::move(row));
  };
  const auto collect = [&](std::string_view name, auto parse, auto& rows) -> Result<void> {
    auto archived = visit_archive(
        layout_, name, [&](std::string_view line) { keep_if_asked_for(line, parse, rows); });
    if (!archived) return archived;
    JsonlTable table(std::string(name), layout_.table(name), layout_.damaged());
    if (auto followed = table.follow(); !followed) return followed.error();
    return table.read_new(
        [&](std::string_view line, std::uint64_t) { keep_if_asked_for(line, parse, rows); });
  };
  if (auto read = collect(kRegistryTable, parse_file_record, history.file); !read) {
    return read.error();
  }
  if (auto read = collect(kTransferTable, parse_transfer_record, history.transfers); !read) {
    return read.error();
  }
  return history;
}

Result<std::vector<FileRecord>> JsonlMetastore::archived_files(std::string_view id_or_path) {
  std::vector<FileRecord> files;
  auto visited = visit_archive(layout_, kRegistryTable, [&](std::string_view line) {
    if (!may_mention(line, id_or_path)) return;
    auto row = parse_file_record(line);
    if (!row || (row->id != id_or_path && row->path != id_or_path)) return;
    const auto known = std::ranges::find(files, row->id, &FileRecord::id);
    if (known == files.end()) {
      files.push_back(*std::move(row));
    } else {
      *known = *std::move(row);
    }
  });
  if (!visited) return visited.error();
  const std::scoped_lock guard(mutex_);
  if (auto read = refresh(); !read) return read.error();
  std::erase_if(files, [&](const FileRecord& file) { return view_.find(file.id).has_value(); });
  return files;
}

/// Others are kept waiting for the copying alone: for what can be done without the lock they are
/// not, and the new tables are read by whoever needs them next.
Result<Metastore::Compaction> JsonlMetastore::compact(Timestamp since) {
  const std::scoped_lock guard(mutex_);
  if (auto read = read_ahead(); !read) return read.error();
  Survey survey(layout_);
  const auto extend = [&] { return survey.extend(view_, registry_.offset(), transfers_.offset()); };
  const std::uint64_t beginnings = beginnings_;
  if (auto surveyed = extend(); !surveyed) return surveyed.error();
  auto done = transact_guarded([&]() -> Result<Compaction> {
    if (beginnings_ != beginnings) survey = Survey(layout_);
    if (auto surveyed = extend(); !surveyed) return surveyed.error();
    return compact_tables(layout_, view_, survey, since);
  });
  if (!done || done->rows_after == done->rows_before) return done;
  log::info("metastore compacted", {{"rows_before", done->rows_before},
                                    {"rows_after", done->rows_after},
                                    {"bytes_before", done->bytes_before},
                                    {"bytes_after", done->bytes_after}});
  return done;
}

bool JsonlMetastore::is_worth_compacting(Timestamp since) {
  const std::scoped_lock guard(mutex_);
  const std::uint64_t rows = registry_.lines() + transfers_.lines();
  if (rows < kMinDeadRows) return false;
  const Weight weight = weigh(view_, since);
  const std::uint64_t needed = weight.live + damage_.damages().size();
  return rows >= needed + kMinDeadRows && rows - needed > needed;
}

/// Whoever opened the store has other work, which does not need it.
void JsonlMetastore::compact_where_worthwhile() {
  const Timestamp since = now() - kKeepSettled;
  if (!is_worth_compacting(since)) return;
  if (const auto done = compact(since); !done) {
    log::warning("metastore not compacted", {{"error", done.error().message}});
  }
}

}  // namespace ferry::metastore
