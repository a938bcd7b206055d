#include <doctest/doctest.h>

#include <algorithm>
#include <future>
#include <thread>

#include "ferry/base/lock.h"
#include "metastore/compaction.h"
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
  const auto done = must(open()->compact(kEnd));
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
  must(open()->compact(kEnd));
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
  const auto done = must(open()->compact(parse_timestamp("2029-12-01").value()));
  CHECK(done.rows_after == done.rows_before);
  CHECK(registry() == registry_before);
  CHECK(logs() == logs_before);
  CHECK_FALSE(exists("archive"));
}

TEST_CASE_FIXTURE(ArchiveFixture, "a delivery that was given up is settled") {
  tables(file_row("1", "a", "2026-01-01", R"(,"state":"superseded")"),
         log_row("1", "failed", "2026-01-02", R"(,"error":{"kind":"abandoned"})"));
  must(open()->compact(kEnd));
  CHECK(registry().empty());
  CHECK(logs().empty());
}

TEST_CASE_FIXTURE(ArchiveFixture, "rows that cannot be read stay among the others") {
  const std::string damage = "{\"id\":\"1\",\n\x01\xff\n";
  const std::string row = file_row("2", "b", "2026-01-01");
  tables(file_row("1", "a", "2026-01-01") + damage + row + file_row("1", "a", "2026-01-02"), "?\n");
  must(open()->compact(kEnd));
  CHECK(registry() == file_row("1", "a", "2026-01-02") + damage + row);
  CHECK(logs() == "?\n");
  CHECK(open()->damages().size() == 3);
}

TEST_CASE_FIXTURE(ArchiveFixture, "a newer version of a path stays the newer one") {
  tables(file_row("1", "a", "2026-01-01") + file_row("2", "a", "2026-01-02") +
             file_row("1", "a", "2026-01-03"),
         "");
  const auto store = open();
  must(store->compact(kEnd));
  std::vector<std::string> ids;
  must(store->visit([&](const FileRecord& file, auto) { ids.push_back(file.id); }));
  CHECK(ids == std::vector<std::string>{"1", "2"});
  const auto registration = must(store->register_files({found("a", "new")})).front();
  CHECK(registration.superseded_id == "2");
}

TEST_CASE_FIXTURE(ArchiveFixture, "the history of a file has its archived rows") {
  tables(file_row("1", "a", "2026-01-01", kMissingState) + file_row("2", "b", "2026-01-01") +
             file_row("2", "b", "2026-02-01"),
         log_row("1", "in_progress", "2026-01-02") + log_row("1", "successful", "2026-01-03"));
  const auto store = open();
  must(store->compact(kEnd));
  const auto files = must(store->archived_files("a"));
  REQUIRE(files.size() == 1);
  CHECK(files.front().id == "1");
  CHECK(must(store->archived_files("1")).size() == 1);
  CHECK(must(store->archived_files("2")).empty());
  const auto history = must(store->history("1"));
  CHECK(history.file.size() == 1);
  REQUIRE(history.transfers.size() == 2);
  CHECK(history.transfers.back().status == TransferStatus::kSuccessful);
  CHECK(must(store->history("2")).file.size() == 2);
}

TEST_CASE_FIXTURE(ArchiveFixture, "others who have the store open go on") {
  const auto other = open();
  must(other->register_files({found("a", "one")}));
  must(other->register_files({found("a", "two")}));
  const auto reader = must(open_metastore_for_reading(directory(), options()));
  must(open()->compact(kEnd));
  std::size_t seen = 0;
  must(reader->visit([&](const FileRecord& file, auto) { seen += file.path == "a" ? 1 : 0; }));
  CHECK(seen == 1);
  const auto registered = must(other->register_files({found("a", "three"), found("b", "x")}));
  CHECK(registered.front().superseded_id.size() == 36);
  seen = 0;
  must(reader->visit([&](const FileRecord&, auto) { ++seen; }));
  CHECK(seen == 3);
}

TEST_CASE_FIXTURE(ArchiveFixture, "a survey is extended by what was appended since") {
  const auto options_ = options();
  View view(options_);
  JsonlTable registry_table("file_registry", file("file_registry.jsonl"), file("damaged"));
  const auto read_on = [&] {
    must(registry_table.follow());
    must(registry_table.read_new(
        [&](std::string_view line, std::uint64_t) { view.apply(must(parse_file_record(line))); }));
  };
  tables(file_row("1", "a", "2026-01-01"), "");
  const Layout layout{directory()};
  Survey survey(layout);
  read_on();
  must(survey.extend(view, registry_table.offset(), 0));
  must(survey.extend(view, registry_table.offset(), 0));
  add("file_registry.jsonl", file_row("2", "b", "2026-02-01") + file_row("1", "a", "2026-03-01"));
  REQUIRE(survey.files().size() == 1);
  read_on();
  must(survey.extend(view, registry_table.offset(), 0));
  REQUIRE(survey.files().size() == 3);
  CHECK(survey.files()[1].key == view.find("2"));
  CHECK(survey.files()[2].key == survey.files()[0].key);
  CHECK(survey.files()[1].offset == survey.files()[0].size);
}

/// How often this process has FILE open: a table once for its store, and once for a survey.
std::size_t openings_of(const fs::path& file) {
  std::size_t count = 0;
  boost::system::error_code none;
  for (fs::directory_iterator fd("/proc/self/fd", none), end; !none && fd != end;
       fd.increment(none)) {
    boost::system::error_code gone;
    if (fs::read_symlink(fd->path(), gone) == file && !gone) ++count;
  }
  return count;
}

TEST_CASE_FIXTURE(ArchiveFixture, "a table replaced since it was surveyed is surveyed anew") {
  tables(file_row("0", "before", "2026-01-01") + file_row("1", "a", "2026-01-01") +
             file_row("1", "a", "2026-01-02"),
         "");
  const auto store = open();
  auto lock = must(FileLock::acquire(file("lock"), std::chrono::seconds(5)));
  auto compacting = std::async(std::launch::async, [&] { return store->compact(kEnd); });
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  const fs::path table = fs::canonical(file("file_registry.jsonl"));
  while (openings_of(table) < 2 && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::yield();
  }
  REQUIRE(openings_of(table) == 2);
  const std::string left = file_row("1", "a", "2026-01-03");
  must(replace_file(file("file_registry.jsonl"), file_row("1", "a", "2026-01-02") + left));
  {
    const auto released = std::move(lock);
  }
  must(compacting.get());
  CHECK(registry() == left);
}

TEST_CASE_FIXTURE(ArchiveFixture, "a second compaction has nothing to do and adds to the archive") {
  const auto store = open();
  must(store->register_files({found("a", "one")}));
  must(store->register_files({found("a", "two")}));
  CHECK(must(store->compact(kEnd)).rows_after == 1);
  const auto idle = must(store->compact(kEnd));
  CHECK(idle.rows_after == idle.rows_before);
  must(store->register_files({found("a", "three")}));
  must(store->compact(kEnd));
  CHECK(must(store->history(must(store->archived_files("a")).front().id)).file.size() == 2);
}

TEST_CASE_FIXTURE(ArchiveFixture, "the next writer gives the names that a crash left ungiven") {
  tables(file_row("1", "old", "2026-01-01"), log_row("1", "successful", "2026-01-02"));
  write(".new-registry.tmp", file_row("2", "new", "2026-01-01"));
  write("compaction.json", R"({"renames":[{"from":".gone.tmp","to":"archive/x"},)"
                           R"({"from":".new-registry.tmp","to":"file_registry.jsonl"}]})");
  const auto store = open();
  CHECK(registry() == file_row("2", "new", "2026-01-01"));
  CHECK_FALSE(exists("compaction.json"));
  CHECK_FALSE(exists(".new-registry.tmp"));
}

TEST_CASE_FIXTURE(ArchiveFixture, "a note that leads elsewhere is refused") {
  tables("", "");
  for (const char* note : {R"({"renames":[{"from":"../x","to":"y"}]})",
                           R"({"renames":[{"from":"lock","to":"/etc/y"}]})", "{}", "x"}) {
    write("compaction.json", note);
    const auto opened = open_metastore(directory(), options());
    REQUIRE_FALSE(opened);
    CHECK(opened.error().kind == ErrorKind::kCorrupt);
  }
}

TEST_CASE_FIXTURE(ArchiveFixture,
                  "a failed file that was released is pending with all its attempts") {
  tables(file_row("1", "a", "2026-01-01") + file_row("2", "b", "2026-01-01"),
         log_row("1", "failed", "2026-01-02",
                 R"(,"attempt":3,"error":{"kind":"denied","message":"no"})") +
             log_row("2", "successful", "2026-01-02"));
  const auto store = open();
  CHECK_FALSE(exists("pending"));
  const std::vector<std::string> ids{"1", "2", "unknown"};
  CHECK(must(store->release(ids, "elsewhere")).empty());
  const auto released = must(store->release(ids, ""));
  REQUIRE(released.size() == 1);
  CHECK(released.front().id == "1");
  CHECK(exists("pending"));
  must(store->visit([&](const FileRecord& file, std::span<const Delivery> deliveries) {
    if (file.id != "1") return;
    CHECK(standing_of(file, &deliveries.front()) == Standing::kPending);
    CHECK(is_deliverable(file, &deliveries.front(), 1));
    CHECK(deliveries.front().error_message == "released after 3 attempts; the last: no");
  }));
  const auto presence = must(store->join());
  const auto claims = must(
      store->claim({.destination = kTo, .batch_id = "b", .agent = presence->name(), .ids = {"1"}}));
  REQUIRE(claims.size() == 1);
  CHECK(claims.front().attempt == 1);
  CHECK(must(store->release(ids, "")).empty());  // an agent holds it
}

}  // namespace
}  // namespace ferry::metastore::testing
