// Compaction of the JSON-lines store, by what its files have in the end.
#include <doctest/doctest.h>

#include <algorithm>
#include <future>
#include <thread>

#include "ferry/base/lock.h"
#include "metastore/jsonl/index/working_index.h"
#include "metastore/jsonl/tables/compaction.h"
#include "metastore/jsonl/tables/transaction.h"
#include "metastore/store_fixture.h"

namespace ferry::metastore::testing {
namespace {

constexpr std::string_view kSum =
    "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

std::string file_row(std::string_view id, std::string_view path, std::string_view date,
                     std::string_view more = "") {
  return fmt::format(R"({{"id":"{}","path":"{}","updated_date":"{}","checksum":"{}"{}}})"
                     "\n",
                     id, path, date, kSum, more);
}
std::string log_row(std::string_view id, std::string_view status, std::string_view date,
                    std::string_view more = "") {
  return fmt::format(
      R"({{"id":"{}","transfer_status":"{}","transfer_date":"{}","destination":"warehouse"{}}})"
      "\n",
      id, status, date, more);
}

constexpr std::string_view kMissingState = R"(,"state":"missing","reason":"gone")";
const Timestamp kEnd = parse_timestamp("2030-01-01").value();

class ArchiveFixture : public StoreFixture {
 public:
  void tables(std::string_view registry, std::string_view logs) const {
    write("file_registry.jsonl", registry);
    write("transfer_logs.jsonl", logs);
  }
  std::string registry() const { return content("file_registry.jsonl"); }
  std::string logs() const { return content("transfer_logs.jsonl"); }

  /// All rows of a table in one month of the archive.
  std::string archived(const std::string& month, const std::string& table) const {
    std::vector<fs::path> parts;
    boost::system::error_code none;
    for (fs::directory_iterator entry(file("archive/" + month), none), end; !none && entry != end;
         entry.increment(none)) {
      if (entry->path().filename().string().starts_with(table)) parts.push_back(entry->path());
    }
    std::ranges::sort(parts);
    std::string text;
    for (const fs::path& part : parts) text += must(read_file(part));
    return text;
  }
};

TEST_CASE_FIXTURE(ArchiveFixture, "rows that later ones replaced go to the month of their date") {
  const std::string older = file_row("1", "a", "2026-01-31");
  const std::string newer = file_row("1", "a", "2026-02-01", R"(,"own":[1,2])");
  const std::string claim = log_row("1", "in_progress", "2026-02-02");
  const std::string failure = log_row("1", "failed", "2026-03-01");
  const std::string success = log_row("1", "successful", "2026-03-02");
  tables(older + file_row("2", "b", "2026-01-31") + newer, claim + failure + success);
  const auto done = must(open()->upkeep().compact(kEnd));
  CHECK(done.rows_before == 6);
  CHECK(done.rows_after == 3);
  CHECK(registry() == newer + file_row("2", "b", "2026-01-31"));
  CHECK(logs() == success);
  CHECK(archived("2026-01", "file_registry") == older);
  CHECK(archived("2026-02", "transfer_logs") == claim);
  CHECK(archived("2026-03", "transfer_logs") == failure);
  CHECK_FALSE(exists("compaction.json"));
}

TEST_CASE_FIXTURE(ArchiveFixture, "settled files go, with their deliveries") {
  const std::string gone = file_row("1", "gone", "2026-01-01", kMissingState);
  const std::string version = file_row("2", "a", "2026-01-02");
  const std::string current = file_row("3", "a", "2026-01-03");
  const std::string logs_of_settled =
      log_row("1", "successful", "2026-01-04") + log_row("2", "successful", "2026-01-04");
  tables(gone + version + current, logs_of_settled + log_row("3", "successful", "2026-01-04"));
  must(open()->upkeep().compact(kEnd));
  CHECK(registry() == current);
  CHECK(logs() == log_row("3", "successful", "2026-01-04"));
  CHECK(archived("2026-01", "file_registry") == gone + version);
  CHECK(archived("2026-01", "transfer_logs") == logs_of_settled);
}

TEST_CASE_FIXTURE(ArchiveFixture, "what somebody may still ask for stays") {
  const std::string registry_before =
      file_row("1", "current and delivered", "2026-01-01") +
      file_row("2", "pending", "2026-01-01") +
      file_row("3", "held", "2026-01-01", R"(,"state":"quarantined")") +
      file_row("4", "with a part at the destination", "2026-01-01", kMissingState) +
      file_row("5", "being sent", "2026-01-01", kMissingState) +
      file_row("6", "recent", "2029-12-31", kMissingState);
  const std::string logs_before =
      log_row("1", "successful", "2026-01-02") +
      log_row("4", "failed", "2026-01-02", R"(,"error":{"kind":"connection_lost"})") +
      log_row("5", "in_progress", "2026-01-02") + log_row("unknown", "failed", "2026-01-02");
  tables(registry_before, logs_before);
  const auto done = must(open()->upkeep().compact(parse_timestamp("2029-12-01").value()));
  CHECK(done.rows_after == done.rows_before);
  CHECK(registry() == registry_before);
  CHECK(logs() == logs_before);
  CHECK_FALSE(exists("archive"));
}

TEST_CASE_FIXTURE(ArchiveFixture, "a delivery that was given up is settled") {
  tables(file_row("1", "a", "2026-01-01", R"(,"state":"superseded")"),
         log_row("1", "failed", "2026-01-02", R"(,"error":{"kind":"abandoned"})"));
  must(open()->upkeep().compact(kEnd));
  CHECK(registry().empty());
  CHECK(logs().empty());
}

TEST_CASE_FIXTURE(ArchiveFixture, "rows that cannot be read stay among the others") {
  const std::string damage = "{\"id\":\"1\",\n\x01\xff\n";
  const std::string row = file_row("2", "b", "2026-01-01");
  tables(file_row("1", "a", "2026-01-01") + damage + row + file_row("1", "a", "2026-01-02"), "?\n");
  must(open()->upkeep().compact(kEnd));
  CHECK(registry() == file_row("1", "a", "2026-01-02") + damage + row);
  CHECK(logs() == "?\n");
  CHECK(must(open()->upkeep().damaged_rows()) == 3);
}

TEST_CASE_FIXTURE(ArchiveFixture, "a newer version of a path stays the newer one") {
  tables(file_row("1", "a", "2026-01-01") + file_row("2", "a", "2026-01-02") +
             file_row("1", "a", "2026-01-03"),
         "");
  const auto store = open();
  must(store->upkeep().compact(kEnd));
  std::vector<std::string> ids;
  must(store->visit({}, [&](const FileRecord& file, auto) { ids.push_back(file.id); }));
  CHECK(ids == std::vector<std::string>{"1", "2"});
  const auto registration = must(store->register_files({found("a", "new")})).front();
  CHECK(registration.superseded_id == "2");
}

TEST_CASE_FIXTURE(ArchiveFixture, "the history of a file has its archived rows") {
  tables(file_row("1", "a", "2026-01-01", kMissingState) + file_row("2", "b", "2026-01-01") +
             file_row("2", "b", "2026-02-01") + file_row("3", "a", "2026-02-01"),
         log_row("1", "in_progress", "2026-01-02") + log_row("1", "successful", "2026-01-03"));
  const auto store = open();
  must(store->upkeep().compact(kEnd));
  const auto of_path = must(store->history("a"));
  REQUIRE(of_path.size() == 2);
  CHECK(of_path[0].file.front().id == "1");
  CHECK(of_path[1].file.front().id == "3");
  const auto history = must(store->history("1"));
  REQUIRE(history.size() == 1);
  CHECK(history[0].file.size() == 1);
  REQUIRE(history[0].transfers.size() == 2);
  CHECK(history[0].transfers.back().status == TransferStatus::kSuccessful);
  const auto live = must(store->history("2"));
  REQUIRE(live.size() == 1);
  REQUIRE(live[0].file.size() == 2);
  CHECK(live[0].file[0].updated_date < live[0].file[1].updated_date);
}

TEST_CASE_FIXTURE(ArchiveFixture, "a failure keeps the row that says what had been claimed") {
  const std::string registry_before =
      file_row("1", "a", "2026-01-01") + file_row("1", "a", "2026-01-05");
  tables(registry_before, log_row("1", "in_progress", "2026-01-02") +
                              log_row("1", "failed", "2026-01-07",
                                      R"(,"error":{"kind":"abnormal","message":"changed"})"));
  const auto store = open();
  CHECK(must(store->is_pending()));  // the registry has something newer than the claim
  must(store->upkeep().compact(kEnd));
  CHECK(must(store->is_pending()));
  CHECK(must(open()->is_pending()));
  CHECK(registry() == file_row("1", "a", "2026-01-05"));
  CHECK(logs().find("in_progress") != std::string::npos);
}

TEST_CASE_FIXTURE(ArchiveFixture, "others who have the store open go on") {
  const auto other = open();
  must(other->register_files({found("a", "one")}));
  must(other->register_files({found("a", "two")}));
  const auto reader = look();
  must(open()->upkeep().compact(kEnd));
  std::size_t seen = 0;
  must(reader->visit({}, [&](const FileRecord& file, auto) { seen += file.path == "a" ? 1 : 0; }));
  CHECK(seen == 1);
  const auto registered = must(other->register_files({found("a", "three"), found("b", "x")}));
  CHECK(registered.front().superseded_id.size() == 36);
  seen = 0;
  must(reader->visit({}, [&](const FileRecord&, auto) { ++seen; }));
  CHECK(seen == 3);
}

/// A compaction, step by step.
class StepByStep {
 public:
  explicit StepByStep(const fs::path& path)
      : directory_(must(Directory::open(path))),
        viewpoint_(StoreFixture::options().demand),
        compaction_(directory_) {}

  void stage(Timestamp since = kEnd) {
    ReadIndex reading(directory_);
    REQUIRE(must(reading.begin(viewpoint_, false)));
    must(compaction_.stage(reading.snapshot(), since));
    reading.end();
    must(compaction_.index(viewpoint_, {}));
  }
  bool finish() {
    WorkingIndex index(directory_, {}, std::chrono::seconds(5));
    must(index.make_ready());
    auto lock = must(FileLock::acquire(directory_.path() / "lock", std::chrono::seconds(5)));
    Transaction transaction(directory_, index.tables(),
                            std::make_shared<const Viewpoint>(StoreFixture::options().demand));
    must(transaction.begin());
    if (transaction.failure()) return false;
    const bool finished = must(compaction_.finish(transaction.tables()));
    must(transaction.commit(false));
    return finished;
  }

 private:
  Directory directory_;
  Viewpoint viewpoint_;
  Compaction compaction_;
};

TEST_CASE_FIXTURE(ArchiveFixture,
                  "what is appended while rows are copied is added, and then read") {
  const auto store = open();
  const auto first = put(*store, found("a", "one")).id;
  put(*store, found("a", "two"));
  StepByStep compaction(directory());
  compaction.stage();
  put(*store, found("b", "one"));
  append(*store, row(latest(*store, "a")->id, TransferStatus::kSuccessful));
  REQUIRE(compaction.finish());
  CHECK(standings(*store) == Standings{{"a", {"successful"}}, {"b", {"pending"}}});
  CHECK(must(store->history(first)).size() == 1);
  CHECK_FALSE(exists("compaction.json"));
  check_index();
}

TEST_CASE_FIXTURE(ArchiveFixture, "news of a file that goes makes a compaction begin anew") {
  const auto store = open();
  const auto id = put(*store, found("a", "one")).id;
  const std::vector<std::string> paths{"a"};
  must(store->mark_missing(kLandingArea, paths, "gone"));
  StepByStep compaction(directory());
  compaction.stage();
  SUBCASE("from the registry") {
    put(*store, found("a", "one"));
  }
  SUBCASE("from the logs") {
    append(*store, row(id, TransferStatus::kFailed));
  }
  CHECK_FALSE(compaction.finish());
  CHECK(must(store->find(std::span(&id, 1))).at(0));
  check_index();
}

TEST_CASE_FIXTURE(ArchiveFixture, "a table that was replaced meanwhile makes it begin anew") {
  tables(file_row("1", "a", "2026-01-01") + file_row("1", "a", "2026-01-02"), "");
  open();
  StepByStep compaction(directory());
  compaction.stage();
  const std::string left = file_row("1", "a", "2026-01-02") + file_row("1", "a", "2026-01-03");
  must(replace_file(file("file_registry.jsonl"), left));
  CHECK_FALSE(compaction.finish());
  CHECK(registry() == left);
}

TEST_CASE_FIXTURE(ArchiveFixture, "of two compactions at once one gives way, and no row is lost") {
  const auto store = open();
  const auto first = put(*store, found("a", "one")).id;
  put(*store, found("a", "two"));
  StepByStep one(directory());
  StepByStep two(directory());
  one.stage();
  two.stage();
  CHECK(one.finish());
  CHECK_FALSE(two.finish());
  CHECK(must(store->history(first)).at(0).file.size() == 2);
  CHECK(standings(*store).size() == 1);
  check_index();
}

TEST_CASE_FIXTURE(ArchiveFixture, "a second compaction has nothing to do and adds to the archive") {
  const auto store = open();
  must(store->register_files({found("a", "one")}));
  must(store->register_files({found("a", "two")}));
  CHECK(must(store->upkeep().compact(kEnd)).rows_after == 1);
  const auto idle = must(store->upkeep().compact(kEnd));
  CHECK(idle.rows_after == idle.rows_before);
  must(store->register_files({found("a", "three")}));
  must(store->upkeep().compact(kEnd));
  const auto versions = must(store->history("a"));
  REQUIRE(versions.size() == 3);
  CHECK(versions.front().file.size() == 2);
}

TEST_CASE_FIXTURE(ArchiveFixture, "the next writer gives the names that a crash left ungiven") {
  tables(file_row("1", "old", "2026-01-01"), log_row("1", "successful", "2026-01-02"));
  must(make_directories(file("archive/2026-01")));
  write(".new-registry.tmp", file_row("2", "new", "2026-01-01"));
  write(
      "compaction.json",
      R"({"renames":[{"from":"archive/2026-01/.gone.tmp","to":"archive/2026-01/transfer_logs.x.jsonl"},)"
      R"({"from":".new-registry.tmp","to":"file_registry.jsonl"}]})");
  const auto store = open();
  CHECK(registry() == file_row("2", "new", "2026-01-01"));
  CHECK_FALSE(exists("compaction.json"));
  CHECK_FALSE(exists(".new-registry.tmp"));
}

TEST_CASE_FIXTURE(ArchiveFixture, "a note that leads elsewhere is refused") {
  tables("", "");
  write("file_registry.jsonl", file_row("1", "a", "2026-01-01"));
  for (const char* note :
       {R"({"renames":[{"from":"../x","to":"y"}]})",
        R"({"renames":[{"from":"lock","to":"/etc/y"}]})",
        R"({"renames":[{"from":".x.tmp","to":"lock"}]})",
        R"({"renames":[{"from":"metastore.json","to":"file_registry.jsonl"}]})",
        R"({"renames":[{"from":".x.tmp","to":"archive/2026-01/x"}]})",
        R"({"renames":[{"from":".x.tmp","to":"x/2026-01/transfer_logs.1.jsonl"}]})", "{}", "x"}) {
    CAPTURE(note);
    write("compaction.json", note);
    const auto opened = backend->open(options());
    REQUIRE_FALSE(opened);
    CHECK(opened.error().kind == ErrorKind::kCorrupt);
  }
}

/// What a note that may or may not be there must not cost: the files that it names.
TEST_CASE_FIXTURE(ArchiveFixture,
                  "where a note cannot be made durable, what it names stays as long") {
  must(make_directories(directory()));
  const auto opened = must(Directory::open(directory()));
  for (const bool can_take_back : {true, false}) {
    CAPTURE(can_take_back);
    std::string temporary;
    {
      // A folder in the note's place: it cannot be written; and, unless it is empty, not removed.
      must(make_directories(file("note.json/x")));
      if (can_take_back) fs::remove_all(file("note.json"));
      StagedFiles staged(opened, "note.json");
      StagedFile* part = must(staged.add("archive/2026-01/transfer_logs.1.jsonl"));
      temporary = part->temporary_name();
      must(part->append("row\n"));
      if (!can_take_back) CHECK_FALSE(staged.commit());
      if (can_take_back) CHECK(staged.commit());
    }
    CHECK(exists(temporary) == !can_take_back);
    fs::remove_all(file("note.json"));
  }
}

}  // namespace
}  // namespace ferry::metastore::testing
