// Rows that other systems wrote, or that were lost.
#include <algorithm>

#include "store_fixture.h"

namespace ferry::metastore {
namespace {

using testing::found;
using testing::kTo;
using testing::must;
using Paths = std::vector<std::string>;

/// A row of another system, whose id has no date in it.
FileRecord imported(const std::string& id, Timestamp date) {
  FileRecord row = found(id + ".csv", id);
  row.id = id;
  row.updated_date = date;
  row.source = FileSource::kImport;
  return row;
}

CONTRACT("files are found by when they were registered, whatever came after them") {
  auto store = open();
  const Timestamp time = now();
  const auto ago = [&](int hours) { return time - std::chrono::hours(hours); };
  put(*store, found("today.csv", "today"));
  must(store->import_files({imported("old", ago(50)), imported("new", ago(1)),
                            imported("older", ago(99)), imported("other", ago(1))}));
  for (const bool newest_first : {false, true}) {
    const auto registered = [&](TimeRange range, std::size_t limit = FileQuery::kNoLimit) {
      auto found =
          paths(*store, {.registered = range, .newest_first = newest_first, .limit = limit});
      std::ranges::sort(found);
      return found;
    };
    CHECK(registered({.since = ago(24)}) == Paths{"new.csv", "other.csv", "today.csv"});
    CHECK(registered({.since = ago(1), .until = ago(0)}) == Paths{"new.csv", "other.csv"});
    CHECK(registered({.until = ago(1)}) == Paths{"old.csv", "older.csv"});
    CHECK(registered({.since = ago(99), .until = ago(50)}) == Paths{"older.csv"});
    CHECK(registered({.since = ago(24)}, 2).size() == 2);
    // One by one, each behind the one before.
    Paths all;
    for (std::string after;;) {
      const auto page = files(*store, {.registered = {.since = ago(60)},
                                       .newest_first = newest_first,
                                       .after = after,
                                       .limit = 1});
      if (page.empty()) break;
      after = page.front().id;
      all.push_back(page.front().path);
    }
    std::ranges::sort(all);
    CHECK(all == Paths{"new.csv", "old.csv", "other.csv", "today.csv"});
  }
  CHECK(paths(*store, {.names = {"new.csv", "old.csv"}, .registered = {.since = ago(24)}}) ==
        Paths{"new.csv"});
}

CONTRACT("a text has no NUL, whatever a program said") {
  auto store = open();
  FileRecord row = imported("1", now());
  row.reason = std::string("a\0b", 3);
  must(store->import_files({row}));
  auto again = open();
  CHECK(files(*again, {}).front().reason == "ab");
}

CONTRACT("rows of the logs without their file are counted") {
  auto store = open();
  CHECK(must(store->upkeep().orphans()).rows == 0);
  CHECK(must(store->upkeep().orphans()).registry_is_empty);
  TransferRecord row;
  row.id = "unknown";
  row.destination = kTo;
  row.date = now();
  must(store->upkeep().append_transfer_rows(std::span(&row, 1)));
  CHECK(must(store->upkeep().orphans()).rows == 1);
  put(*store, found("x.csv", "x"));
  CHECK_FALSE(must(store->upkeep().orphans()).registry_is_empty);
}

}  // namespace
}  // namespace ferry::metastore
