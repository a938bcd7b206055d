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

Result<Metastore::Compaction> JsonlMetastore::compact(Timestamp since) {
  return transact([&] { return compact_locked(since); });
}

Result<Metastore::Compaction> JsonlMetastore::compact_locked(Timestamp since) {
  auto done = compact_tables(layout_, view_, since);
  if (!done || done->rows_after == done->rows_before) return done;
  log::info("metastore compacted", {{"rows_before", done->rows_before},
                                    {"rows_after", done->rows_after},
                                    {"bytes_before", done->bytes_before},
                                    {"bytes_after", done->bytes_after}});
  if (auto read = refresh(); !read) return read.error();
  return done;
}

Result<void> JsonlMetastore::compact_where_worthwhile() {
  const std::uint64_t rows = registry_.lines() + transfers_.lines();
  if (rows < kMinDeadRows) return {};
  const Timestamp since = now() - kKeepSettled;
  const Weight weight = weigh(view_, since);
  const std::uint64_t needed = weight.live + damage_.damages().size();
  if (rows < needed + kMinDeadRows || rows - needed <= needed) return {};
  const auto done = compact_locked(since);
  if (done) return {};
  // Whoever opened the store has other work, which does not need it.
  log::warning("metastore not compacted", {{"error", done.error().message}});
  start_anew();
  return refresh();
}

}  // namespace ferry::metastore
