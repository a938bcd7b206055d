// How JsonlMetastore is looked after.
#include "ferry/base/log.h"
#include "metastore/jsonl/index/index_comparison.h"
#include "metastore/jsonl/jsonl_metastore.h"
#include "metastore/jsonl/tables/compaction.h"

namespace ferry::metastore {
namespace {

/// Fewer rows cost too little to be worth a rewrite that nobody asked for.
constexpr std::uint64_t kMinDeadRows = 100'000;

/// Rows of both tables, and how many of them a compaction would leave, about.
struct Weight {
  std::uint64_t rows = 0;
  std::uint64_t needed = 0;

  bool is_worth_compacting() const {
    return rows >= needed + kMinDeadRows && rows - needed > needed;
  }
};

Weight weigh(Snapshot& snapshot, Timestamp since) {
  Index& index = snapshot.index();
  Weight weight;
  weight.rows =
      snapshot.tables().registry_position().lines + snapshot.tables().transfers_position().lines;
  if (weight.rows < kMinDeadRows) return weight;
  const std::uint64_t files = index.keys(kRegistryTable);
  const std::uint64_t deliveries = index.keys(kTransferTable);
  const std::uint64_t gone = index.files_gone_before(since);
  const std::uint64_t with_deliveries = files == 0 ? 0 : gone + gone * deliveries / files;
  weight.needed = files + deliveries - std::min(files + deliveries, with_deliveries) +
                  index.damaged_rows() + index.orphans();
  return weight;
}

}  // namespace

Result<Upkeep::Compaction> JsonlMetastore::compact(Timestamp since) {
  const View view = view_of("", false);
  Error failure = make_error(ErrorKind::kBusy,
                             "the tables were changed again and again while they were compacted");
  for (int attempts_left = 4; attempts_left > 0; --attempts_left) {
    auto tidied = transact([&](Transaction&) -> Result<void> {
      remove_staged_files(*directory_);
      return {};
    });
    if (!tidied) return tidied.error();
    const AsOwner owner(*directory_);
    ReadIndex reading(*directory_);  // for as long as it takes
    const auto began = reading.begin(*view.viewpoint, false);
    if (!began) return began.error();
    if (!*began) continue;
    metastore::Compaction compaction(*directory_);
    const auto staged = compaction.stage(reading.snapshot(), since);
    if (auto failed = reading.end()) {
      failure = std::move(*failed);  // whoever compacts, too, may have replaced the index
      continue;
    }
    if (!staged) return staged.error();
    if (!compaction.is_worth_while()) return compaction.outcome();
    reading.close();
    if (auto indexed = compaction.index(*view.viewpoint, options_.on_reading); !indexed) {
      return indexed.error();
    }
    const auto finished =
        transact([&](Transaction& transaction) { return compaction.finish(transaction.tables()); });
    if (!finished) return finished.error();
    if (!*finished) continue;
    const Upkeep::Compaction& done = compaction.outcome();
    log::info("metastore compacted", {{"rows_before", done.rows_before},
                                      {"rows_after", done.rows_after},
                                      {"bytes_before", done.bytes_before},
                                      {"bytes_after", done.bytes_after}});
    return done;
  }
  return failure;
}

/// Whoever opened the store has other work, which does not need it.
void JsonlMetastore::compact_where_worthwhile() {
  const Timestamp since = now() - kKeepSettled;
  const auto weight = ask(view_of("", false), [&](Snapshot& snapshot) -> Result<Weight> {
    return weigh(snapshot, since);
  });
  if (!weight || !weight->is_worth_compacting()) return;
  if (const auto done = compact(since); !done) {
    log::warning("metastore not compacted", {{"error", done.error().message}});
  }
}

Result<std::uint64_t> JsonlMetastore::damaged_rows() {
  return ask(view_of("", false), [](Snapshot& snapshot) -> Result<std::uint64_t> {
    return snapshot.index().damaged_rows();
  });
}

Result<std::vector<Upkeep::Damage>> JsonlMetastore::damages(std::size_t limit) {
  if (auto readable = check_staged_files(*directory_, kCompactionNote); !readable) {
    return readable.error();
  }
  return ask(view_of("", false), [&](Snapshot& snapshot) -> Result<std::vector<Damage>> {
    std::vector<Damage> found;
    for (DamagedRow& row : snapshot.index().damage(limit)) {
      found.push_back(
          {.table = std::move(row.table), .line = row.line, .reason = std::move(row.reason)});
    }
    return found;
  });
}

Result<Upkeep::Orphans> JsonlMetastore::orphans() {
  return ask(view_of("", false), [](Snapshot& snapshot) -> Result<Orphans> {
    Index& index = snapshot.index();
    return Orphans{.rows = index.orphans(), .registry_is_empty = index.keys(kRegistryTable) == 0};
  });
}

/// Against one that is built from the tables as far as the shared one has them.
Result<std::vector<std::string>> JsonlMetastore::verify() {
  const View view = view_of("", true);
  if (auto asked = ask(view, [](Snapshot&) { return Result<void>(); }); !asked) {
    return asked.error();
  }
  const AsOwner owner(*directory_);
  ReadIndex reading(*directory_);
  const auto began = reading.begin(*view.viewpoint, true);
  if (!began) return began.error();
  if (!*began) {
    return std::vector<std::string>{
        "the shared index cannot be used, or not be brought up to date"};
  }
  IndexedTables& shared = reading.snapshot().tables();
  auto fresh = rebuild_privately(*directory_, shared, *view.viewpoint, options_.on_reading);
  if (!fresh) return fresh.error();
  auto differences = compare_indexes(shared.index(), fresh->index(), view.viewpoint->fingerprint);
  if (const auto& failure = fresh->index().database().failure()) return *failure;
  // A part of it that nobody asked for so far.
  if (const auto failure = reading.end()) return std::vector{failure->message};
  return differences;
}

}  // namespace ferry::metastore
