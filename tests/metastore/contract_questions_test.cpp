// What every kind of store answers.
#include <algorithm>
#include <thread>

#include <poll.h>

#include "store_fixture.h"

namespace ferry::metastore {
namespace {

using testing::found;
using testing::kLandingArea;
using testing::kTo;
using testing::must;
using enum TransferStatus;
using Paths = std::vector<std::string>;

CONTRACT("files are found by id, in the order of the question") {
  auto store = open();
  const auto one = put(*store, found("one.csv", "1")).id;
  const auto two = put(*store, found("two.csv", "2")).id;
  const std::vector<std::string> ids{two, "unknown", one};
  const auto answer = must(store->find(ids));
  REQUIRE(answer.size() == 3);
  CHECK(answer[0]->path == "two.csv");
  CHECK(answer[0]->identity == found("two.csv", "2").identity);
  CHECK(answer[0]->checksum == found("two.csv", "2").checksum);
  CHECK_FALSE(answer[1]);
  CHECK(answer[2]->path == "one.csv");
}

CONTRACT("the latest version of a path is the one that was registered last") {
  auto store = open();
  put(*store, found("x.csv", "one"));
  const auto second = put(*store, found("x.csv", "two")).id;
  auto elsewhere = found("x.csv", "three");
  elsewhere.landing = "other";
  put(*store, elsewhere);
  const Paths paths{"x.csv", "unknown"};
  const auto latest = must(store->latest(kLandingArea, paths));
  REQUIRE(latest.size() == 2);
  CHECK(latest[0]->id == second);
  CHECK_FALSE(latest[1]);
}

CONTRACT("a row that names no area stands for any that has none of the path") {
  auto store = open();
  FileRecord anywhere = found("x.csv", "one");
  anywhere.id = "f1";
  anywhere.landing.clear();
  must(store->import_files({anywhere}));
  const Paths paths{"x.csv"};
  CHECK(must(store->latest("some", paths)).at(0)->id == "f1");
  const auto own = put(*store, found("x.csv", "two")).id;
  CHECK(must(store->latest(kLandingArea, paths)).at(0)->id == own);
  CHECK(must(store->latest("some", paths)).at(0)->id == "f1");
}

CONTRACT("a query's conditions hold together") {
  auto store = open();
  for (const char* path : {"a/1.csv", "a/2.txt", "a-b/3.csv", "a/b/4.csv", "a"}) {
    put(*store, found(path, path));
  }
  auto elsewhere = found("a/1.csv", "other area");
  elsewhere.landing = "other";
  put(*store, elsewhere);
  CHECK(paths(*store, {.landings = {"other"}}) == Paths{"a/1.csv"});
  CHECK(paths(*store, {.landings = {kLandingArea}, .below = {"a"}}) ==
        Paths{"a/1.csv", "a/2.txt", "a/b/4.csv", "a"});
  CHECK(paths(*store, {.below = {"a/b", "a-b"}}) == Paths{"a-b/3.csv", "a/b/4.csv"});
  CHECK(paths(*store, {.below = {""}}).size() == 6);
  CHECK(paths(*store, {.landings = {kLandingArea}, .text = ".csv"}) ==
        Paths{"a/1.csv", "a-b/3.csv", "a/b/4.csv"});
  CHECK(paths(*store, {.text = "%"}).empty());
  CHECK(paths(*store, {.text = "b/4"}) == Paths{"a/b/4.csv"});
  CHECK(paths(*store, {.text = "B/4"}).empty());
  for (const char* other : {"_/b", "\\", "a%v", "%csv%"}) {
    CHECK(paths(*store, {.text = other}).empty());
  }
  CHECK(paths(*store, {.updated = {.since = now() + std::chrono::hours(1)}}).empty());
  CHECK(paths(*store, {.names = {"a/1.csv", "unknown"}}) == Paths{"a/1.csv", "a/1.csv"});
  const auto id = latest(*store, "a/2.txt")->id;
  CHECK(paths(*store, {.names = {id, "a", id}}) == Paths{"a/2.txt", "a"});
}

CONTRACT("the latest versions of an area are found by path, below its directories") {
  auto store = open();
  for (const char* path : {"b/2.csv", "b/1.csv", "b", "b-c/x", "a.csv", "b/c/d"}) {
    put(*store, found(path, "older"));
    put(*store, found(path, "newer"));
  }
  const auto below = [&](std::vector<std::string> directories) {
    const FileQuery query{.landings = {kLandingArea},
                          .below = std::move(directories),
                          .states = {FileState::kReady},
                          .latest_versions = true};
    return paths(*store, query);
  };
  CHECK(below({}) == Paths{"a.csv", "b", "b-c/x", "b/1.csv", "b/2.csv", "b/c/d"});
  CHECK(below({"b"}) == Paths{"b", "b/1.csv", "b/2.csv", "b/c/d"});
  CHECK(below({"b/c", "b", "b-c"}).size() == 5);
  CHECK(below({"b/c", "b", "b/c", "b"}).size() == 4);
  const Paths gone{"b/1.csv"};
  must(store->mark_missing(kLandingArea, gone, "gone"));
  CHECK(below({"b"}) == Paths{"b", "b/2.csv", "b/c/d"});
}

CONTRACT("many files come in order, page by page, however the store changes meanwhile") {
  constexpr int kFiles = 1'000;
  auto store = open();
  std::vector<FileRecord> all;
  for (int i = 0; i < kFiles; ++i) all.push_back(found(fmt::format("{:04}", i), "1"));
  must(store->register_files(all));
  for (const bool by_path : {false, true}) {
    CAPTURE(by_path);
    FileQuery query{.landings = {kLandingArea}, .latest_versions = by_path};
    Paths seen;
    must(store->visit(query, [&](const FileRecord& file, auto) {
      // A visitor may ask, and even change, what it visits.
      if (seen.size() == 300) append(*store, row(file.id, kSuccessful));
      if (seen.size() == 600) put(*store, found(by_path ? "zz" : "0000", "another"));
      seen.push_back(file.path);
    }));
    CHECK(seen.size() == kFiles + 1);
    CHECK(std::ranges::is_sorted(std::span(seen).first(kFiles)));
  }
}

CONTRACT("files are counted off behind another, from either end") {
  auto store = open();
  std::vector<std::string> ids;
  for (int i = 0; i < 10; ++i) ids.push_back(put(*store, found(std::to_string(i), "1")).id);
  CHECK(paths(*store, {.limit = 3}) == Paths{"0", "1", "2"});
  CHECK(paths(*store, {.after = ids[2], .limit = 2}) == Paths{"3", "4"});
  CHECK(paths(*store, {.newest_first = true, .limit = 2}) == Paths{"9", "8"});
  CHECK(paths(*store, {.newest_first = true, .after = ids[8], .limit = 2}) == Paths{"7", "6"});
  CHECK(paths(*store, {.after = ids[9]}).empty());
  append(*store, row(ids[4], kFailed));
  CHECK(paths(*store, {.standings = {Standing::kPending}, .after = ids[2], .limit = 2}) ==
        Paths{"3", "5"});
  CHECK(paths(*store, {.standings = {Standing::kFailed, Standing::kPending},
                       .newest_first = true,
                       .after = ids[6],
                       .limit = 3}) == Paths{"5", "4", "3"});
  const auto unknown = store->visit({.after = "unknown"}, [](const FileRecord&, auto) {});
  CHECK(unknown.error().kind == ErrorKind::kNotFound);
}

CONTRACT("files are found by where they stand") {
  Options two = options();
  two.demand.destinations = {kTo, "lake"};
  auto store = open(two);
  std::map<std::string, std::string> ids;
  for (const char* name : {"new", "done", "half", "failed", "given up", "held", "dead", "gone"}) {
    ids[name] = put(*store, found(name, "1")).id;
  }
  const auto agent = must(store->join());
  claim(*store, *agent, {ids["held"]});
  {
    const auto dies = must(store->join());
    claim(*store, *dies, {ids["dead"]});
  }
  for (const char* to : {kTo, "lake"}) {
    TransferRecord done = row(ids["done"], kSuccessful);
    done.destination = to;
    append(*store, done);
  }
  append(*store, row(ids["half"], kSuccessful));
  append(*store, row(ids["failed"], kFailed, 1));
  append(*store, row(ids["given up"], kFailed, 3));
  const Paths gone{"gone"};
  must(store->mark_missing(kLandingArea, gone, "gone"));

  const auto standing = [&](std::vector<Standing> standings, const std::string& to) {
    auto found = paths(*store, {.standings = std::move(standings), .destination = to});
    std::ranges::sort(found);
    return found;
  };
  using enum Standing;
  CHECK(standing({kPending}, kTo) == Paths{"dead", "new"});
  CHECK(standing({kPending}, "lake") == Paths{"dead", "failed", "given up", "half", "held", "new"});
  CHECK(standing({kInProgress}, kTo) == Paths{"held"});
  CHECK(standing({kFailed}, kTo) == Paths{"failed", "given up"});
  CHECK(standing({kSuccessful}, kTo) == Paths{"done", "half"});
  CHECK(standing({kMissing}, "") == Paths{"gone"});
  CHECK(standing({kSuccessful, kFailed}, "") == Paths{"done", "failed", "given up", "half"});
  CHECK(standing({kFailed, kInProgress}, "") == Paths{"failed", "given up", "held"});
  CHECK(paths(*store, {.destination = kTo, .deliverable = true}) == Paths{"new", "failed", "dead"});
}

CONTRACT("parts that nobody will complete are found until they are said to be gone") {
  auto store = open();
  const auto failed = put(*store, found("failed", "1")).id;
  const auto never = put(*store, found("never", "1")).id;
  const auto held = put(*store, found("held", "1")).id;
  const auto dead = put(*store, found("dead", "1")).id;
  append(*store, row(failed, kFailed));
  auto agent = must(store->join());
  claim(*store, *agent, {held});
  {
    const auto dies = must(store->join());
    claim(*store, *dies, {dead});
  }
  const FileQuery stale{.destination = kTo, .leaves_stale_part = true};
  CHECK(paths(*store, stale).empty());
  const Paths all{"failed", "never", "held", "dead"};
  must(store->mark_missing(kLandingArea, all, "gone"));
  CHECK(paths(*store, stale) == Paths{"failed", "dead"});
  agent.reset();
  CHECK(paths(*store, stale) == Paths{"failed", "held", "dead"});
  TransferRecord abandoned = row(failed, kFailed);
  abandoned.error = TransferError{std::string(kAbandoned), "removed", false};
  append(*store, abandoned);
  CHECK(paths(*store, stale) == Paths{"held", "dead"});
}

CONTRACT("a visitor is shown all deliveries of a file, with the message of a failure") {
  auto store = open();
  const auto id = put(*store, found("x.csv", "one")).id;
  TransferRecord failed = row(id, kFailed, 2);
  failed.batch_id = "some batch";
  failed.bytes = 7;
  failed.duration_ms = 8;
  append(*store, failed);
  TransferRecord done = row(id, kSuccessful);
  done.destination = "lake";
  append(*store, done);
  must(store->visit({}, [&](const FileRecord&, std::span<const Delivery> deliveries) {
    REQUIRE(deliveries.size() == 2);
    const Delivery* one = find_delivery(deliveries, kTo);
    REQUIRE(one != nullptr);
    CHECK(one->status == kFailed);
    CHECK(one->attempt == 2);
    CHECK(one->agent == "some-agent");
    CHECK(one->batch_id == "some batch");
    CHECK(one->bytes == 7);
    CHECK(one->duration_ms == 8);
    CHECK(one->error_kind == "io");
    CHECK(one->error_message == "no luck");
    CHECK(find_delivery(deliveries, "lake")->status == kSuccessful);
  }));
}

CONTRACT("which destinations the logs name is known") {
  auto store = open();
  CHECK(must(store->logged_destinations()).empty());
  const auto id = put(*store, found("x.csv", "one")).id;
  auto to = row(id, kSuccessful);
  append(*store, to);
  to.destination = "archive";
  to.status = kFailed;
  append(*store, to);
  to.destination = "";
  to.status = kInProgress;
  append(*store, to);
  CHECK(must(look()->logged_destinations()) == std::vector<std::string>{"", "archive", kTo});
}

CONTRACT("totals tell how many files stand how, how large they are, and the oldest") {
  auto store = open();
  const auto sized = [](const std::string& path, std::uint64_t size) {
    FileRecord file = found(path, path);
    file.identity->size = size;
    return file;
  };
  put(*store, sized("oldest", 1));
  put(*store, sized("pending", 2));
  const auto done = put(*store, sized("done", 4)).id;
  const auto failed = put(*store, sized("failed", 8)).id;
  const auto given_up = put(*store, sized("given up", 16)).id;
  TransferRecord success = row(done, kSuccessful);
  success.bytes = 3;
  success.duration_ms = 5'000;
  append(*store, success);
  append(*store, row(failed, kFailed, 1));
  TransferRecord abnormal = row(given_up, kFailed, 1);
  abnormal.error = TransferError{"abnormal", "changed", false};
  append(*store, abnormal);
  const auto all = must(store->totals());
  REQUIRE(all.size() == 1);
  const Totals& totals = all[0];
  CHECK(totals.destination == kTo);
  CHECK(totals[Standing::kPending].files == 2);
  CHECK(totals[Standing::kPending].bytes == 3);
  CHECK(totals[Standing::kFailed].files == 2);
  CHECK(totals[Standing::kFailed].bytes == 24);
  CHECK(totals.given_up.files == 1);
  CHECK(totals.given_up.bytes == 16);
  CHECK(totals.failed_by_kind == std::map<std::string, std::uint64_t>{{"abnormal", 1}, {"io", 1}});
  CHECK(totals[Standing::kSuccessful].files == 1);
  CHECK(totals.bytes_sent == 3);
  CHECK(totals.last_success == success.date);
  CHECK(totals.durations.counts[2] == 1);
  CHECK(totals.durations.sum_ms == 5'000);
  CHECK(totals.latencies.counts[0] + totals.latencies.counts[1] == 1);
  REQUIRE(totals.oldest_pending);
  CHECK(totals.oldest_pending->path == "oldest");
}

CONTRACT("totals name every destination that the logs do if none is configured") {
  auto store = open(Options{});
  CHECK(must(store->totals()).empty());
  put(*store, found("new", "1"));
  const auto done = put(*store, found("done", "1")).id;
  append(*store, row(done, kSuccessful));
  TransferRecord elsewhere = row(done, kFailed);
  elsewhere.destination = "lake";
  append(*store, elsewhere);
  const auto all = must(store->totals());
  REQUIRE(all.size() == 3);
  CHECK(all[0].destination.empty());
  CHECK(all[0][Standing::kPending].files == 1);
  CHECK(all[1].destination == "lake");
  CHECK(all[1][Standing::kFailed].files == 1);
  CHECK(all[2].destination == kTo);
  CHECK(all[2][Standing::kSuccessful].files == 1);
}

CONTRACT("a delivery that is taken back is summed up no more") {
  auto store = open();
  const auto id = put(*store, found("x.csv", "one")).id;
  append(*store, row(id, kSuccessful));
  append(*store, row(id, kFailed, 0));  // to be delivered again
  const auto totals = must(store->totals(kTo));
  CHECK(totals[Standing::kSuccessful].files == 0);
  CHECK(totals[Standing::kPending].files == 1);
  CHECK_FALSE(totals.last_success);
  CHECK(totals.durations == Histogram{});
}

CONTRACT("deliveries are found by destination, batch, status and date") {
  auto store = open();
  const Timestamp day = must(parse_timestamp("2026-11-22"));
  for (int i = 0; i < 10; ++i) {
    TransferRecord one = row(put(*store, found(std::to_string(i), "1")).id, kSuccessful);
    one.date = day + std::chrono::hours(10 - i);
    one.batch_id = i < 5 ? "first" : "second";
    if (i == 3) one.status = kFailed;
    if (i == 3) one.error = TransferError{"io", "no luck", true};
    if (i == 4) one.destination = "lake";
    append(*store, one);
  }
  const auto transfers = [&](const TransferQuery& query) {
    std::string found;
    must(store->visit_transfers(query, [&](const FileRecord& file, const Delivery& delivery) {
      CHECK((query.destination.empty() || delivery.destination == query.destination));
      found += file.path;
    }));
    return found;
  };
  CHECK(transfers({}) == "0123456789");
  CHECK(transfers({.destination = "lake"}) == "4");
  CHECK(transfers({.batch_id = "first"}) == "01234");
  CHECK(transfers({.destination = kTo, .batch_id = "first"}) == "0123");
  CHECK(transfers({.batch_id = "third"}).empty());
  CHECK(transfers({.statuses = {kFailed}}) == "3");
  CHECK(transfers({.statuses = {kInProgress}}).empty());
  const TimeRange since{.since = day + std::chrono::hours(4), .until = day + std::chrono::hours(9)};
  CHECK(transfers({.date = since}) == "23456");
  CHECK(transfers({.destination = kTo, .statuses = {kSuccessful}, .date = since}) == "652");
  CHECK(transfers({.updated = {.since = now() + std::chrono::hours(1)}}).empty());
}

CONTRACT("a history has all rows of every version with this id or path, oldest first") {
  auto store = open();
  const auto first = put(*store, found("x.csv", "one")).id;
  put(*store, found("y.csv", "one"));
  append(*store, row(first, kInProgress));
  append(*store, row(first, kSuccessful));
  put(*store, found("x.csv", "one", 2));
  const auto second = put(*store, found("x.csv", "two")).id;
  const auto one = must(store->history(first));
  REQUIRE(one.size() == 1);
  REQUIRE(one[0].file.size() == 2);
  CHECK(one[0].file[0].identity->inode == 1);
  CHECK(one[0].file[1].identity->inode == 2);
  REQUIRE(one[0].transfers.size() == 2);
  CHECK(one[0].transfers[0].status == kInProgress);
  CHECK(one[0].transfers[1].status == kSuccessful);
  const auto both = must(store->history("x.csv"));
  REQUIRE(both.size() == 2);
  CHECK(both[0].file.back().id == first);
  CHECK(both[1].file.back().id == second);
  CHECK(must(store->history("unknown")).empty());
}

/// Whether NOTICE tells of something within a time that is plenty.
bool tells(const ChangeNotice& notice) {
  pollfd request{notice.fd(), POLLIN, 0};
  return ::poll(&request, 1, 60'000) == 1;
}
bool tells_now(const ChangeNotice& notice) {
  pollfd request{notice.fd(), POLLIN, 0};
  return ::poll(&request, 1, 0) == 1;
}

CONTRACT("who waits is told of rows that others add") {
  auto store = open();
  auto other = open();
  const auto notice = must(store->watch_changes());
  notice->clear();
  CHECK_FALSE(tells_now(*notice));
  const auto id = put(*other, found("x.csv", "one")).id;
  CHECK(tells(*notice));
  notice->clear();
  CHECK_FALSE(tells_now(*notice));
  append(*other, row(id, kFailed));
  CHECK(tells(*notice));
  notice->clear();
  append(*other, row(id, kSuccessful));
  CHECK(tells(*notice));
  notice->clear();
  must(other->upkeep().compact(now() + std::chrono::hours(1)));
  notice->clear();
  put(*other, found("y.csv", "one"));
  CHECK(tells(*notice));
}

CONTRACT("what keeps questions quick says what the rows say") {
  auto store = open();
  for (int i = 0; i < 30; ++i) {
    const auto id = put(*store, found(std::to_string(i % 20), std::to_string(i))).id;
    if (i % 3 == 0) append(*store, row(id, i % 2 == 0 ? kSuccessful : kFailed));
  }
  CHECK(must(store->upkeep().verify()).empty());
  must(store->upkeep().compact(now() + std::chrono::hours(1)));
  CHECK(must(store->upkeep().verify()).empty());
}

CONTRACT("compacting changes no answer, and loses no row") {
  auto store = open();
  auto other = open();
  std::vector<std::string> ids;
  for (int i = 0; i < 40; ++i) {
    ids.push_back(put(*store, found(std::to_string(i % 10), std::to_string(i))).id);
    append(*store, row(ids.back(), kInProgress));
    if (i % 4 != 3) append(*store, row(ids.back(), kSuccessful));
  }
  std::map<std::string, std::size_t> rows;
  for (const std::string& id : ids) {
    const auto history = must(store->history(id)).at(0);
    rows[id] = history.file.size() + history.transfers.size();
  }
  const auto before = must(store->totals(kTo));
  const auto done = must(store->upkeep().compact(now() + std::chrono::hours(1)));
  CHECK(done.rows_after < done.rows_before);
  for (Metastore* one : {store.get(), other.get()}) {
    const auto after = must(one->totals(kTo));
    CHECK(after[Standing::kPending].files == before[Standing::kPending].files);
    for (const std::string& id : ids) {
      const auto history = must(one->history(id)).at(0);
      CHECK(history.file.size() + history.transfers.size() == rows[id]);
    }
  }
  CHECK(put(*other, found("0", "once more")).outcome == Registration::Outcome::kInserted);
  const auto again = must(store->upkeep().compact(now() - std::chrono::hours(1)));
  CHECK(again.rows_after == again.rows_before);
}

}  // namespace
}  // namespace ferry::metastore
