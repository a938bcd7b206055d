#include "ferry/metastore/metastore.h"

#include "store_fixture.h"

namespace ferry::metastore {
namespace {

using testing::checksum_of;
using testing::exit_code;
using testing::found;
using testing::in_child;
using testing::kLandingArea;
using testing::kTo;
using testing::must;
using testing::Standings;
using testing::StoreFixture;
using enum TransferStatus;
using Outcome = Registration::Outcome;

TEST_CASE_FIXTURE(StoreFixture, "a file that landed is pending until it is delivered") {
  auto store = open();
  const auto file = put(*store, found("x.csv", "one"));
  CHECK(file.outcome == Outcome::kInserted);
  CHECK(standings(*store) == Standings{{"x.csv", {"pending"}}});
  append(*store, row(file.id, kSuccessful));
  CHECK(standings(*store) == Standings{{"x.csv", {"successful"}}});
  CHECK(standings(*open()) == Standings{{"x.csv", {"successful"}}});
  CHECK(standings(*look()) == Standings{{"x.csv", {"successful"}}});
}

TEST_CASE_FIXTURE(StoreFixture, "the same file seen again is no new version") {
  auto store = open();
  const auto first = put(*store, found("x.csv", "one"));
  const std::string before = content("file_registry.jsonl");
  const auto again = put(*store, found("x.csv", "one"));
  CHECK(again.outcome == Outcome::kDuplicate);
  CHECK(again.id == first.id);
  CHECK(content("file_registry.jsonl") == before);
  CHECK(put(*store, found("y.csv", "one")).outcome == Outcome::kInserted);
  auto elsewhere = found("x.csv", "one");
  elsewhere.landing = "other";
  CHECK(put(*store, elsewhere).outcome == Outcome::kInserted);
}

TEST_CASE_FIXTURE(StoreFixture, "the same bytes in a new inode keep their id") {
  auto store = open();
  const auto first = put(*store, found("x.csv", "one", 1));
  const auto again = put(*store, found("x.csv", "one", 2));
  CHECK(again.outcome == Outcome::kUpdated);
  CHECK(again.id == first.id);
  CHECK(store->is_registered(kLandingArea, "x.csv", *found("x.csv", "one", 2).identity));
  CHECK_FALSE(store->is_registered(kLandingArea, "x.csv", *found("x.csv", "one", 1).identity));
  CHECK(files(*store).size() == 1);
}

TEST_CASE_FIXTURE(StoreFixture, "an area that gets a name keeps its files") {
  FileRecord by_path = found("a.csv", "1");
  by_path.landing = "/srv/in";
  const std::string id = put(*open(), by_path).id;
  Options named = options();
  named.landing_aliases = {{"/srv/in", kLandingArea}};
  const auto store = must(open_metastore(directory(), named));
  CHECK(store->is_registered(kLandingArea, "a.csv", *by_path.identity));
  CHECK(put(*store, found("a.csv", "1")).outcome == Registration::Outcome::kDuplicate);
  CHECK(files(*store).at(0).landing == kLandingArea);
}

TEST_CASE_FIXTURE(StoreFixture, "a new version supersedes a pending one") {
  auto store = open();
  const auto first = put(*store, found("x.csv", "one"));
  const auto second = put(*store, found("x.csv", "other"));
  CHECK(second.outcome == Outcome::kInserted);
  CHECK(second.superseded_id == first.id);
  CHECK(standings(*store) == Standings{{"x.csv", {"superseded", "pending"}}});
  CHECK(standings(*open()) == Standings{{"x.csv", {"superseded", "pending"}}});
}

TEST_CASE_FIXTURE(StoreFixture, "a failed version is superseded too, a delivered one is not") {
  auto store = open();
  const auto first = put(*store, found("x.csv", "one"));
  append(*store, row(first.id, kFailed, 3));
  const auto second = put(*store, found("x.csv", "two!"));
  CHECK(second.superseded_id == first.id);
  append(*store, row(second.id, kSuccessful));
  CHECK(put(*store, found("x.csv", "three")).superseded_id.empty());
  CHECK(standings(*store) == Standings{{"x.csv", {"superseded", "successful", "pending"}}});
}

TEST_CASE_FIXTURE(StoreFixture, "versions of one path in one group are taken one after another") {
  auto store = open();
  const auto all = must(store->register_files(
      {found("x.csv", "one"), found("x.csv", "one"), found("x.csv", "other")}));
  CHECK(all[1].outcome == Outcome::kDuplicate);
  CHECK(all[1].id == all[0].id);
  CHECK(all[2].superseded_id == all[0].id);
}

TEST_CASE_FIXTURE(StoreFixture, "a version that is being delivered is left to its agent") {
  auto store = open();
  const auto first = put(*store, found("x.csv", "one"));
  const auto agent = must(store->join());
  REQUIRE(claim(*store, *agent, {first.id}).size() == 1);
  CHECK(put(*store, found("x.csv", "other")).superseded_id.empty());

  append(*store, row(first.id, kFailed));
  CHECK(claim(*store, *agent, {first.id}).empty());
  CHECK(standings(*store) == Standings{{"x.csv", {"superseded", "pending"}}});
}

TEST_CASE_FIXTURE(StoreFixture, "a file that comes back unchanged is revived, not sent again") {
  auto store = open();
  const auto first = put(*store, found("x.csv", "one"));
  append(*store, row(first.id, kSuccessful));
  const std::vector<std::string> paths = {"x.csv", "unknown.csv"};
  CHECK(must(store->mark_missing(kLandingArea, paths, "gone")) == 1);
  CHECK(files(*store)[0].reason == "gone");
  CHECK_FALSE(store->is_registered(kLandingArea, "x.csv", *found("x.csv", "one").identity));

  const auto again = put(*store, found("x.csv", "one"));
  CHECK(again.outcome == Outcome::kUpdated);
  CHECK(again.id == first.id);
  CHECK(files(*store)[0].state == FileState::kReady);
  CHECK(standings(*store) == Standings{{"x.csv", {"successful"}}});
}

FileRecord abnormal(FileRecord record, std::string reason) {
  record.state = FileState::kQuarantined;
  record.reason = std::move(reason);
  return record;
}

TEST_CASE_FIXTURE(StoreFixture, "an abnormal version is registered once, and never pending") {
  auto store = open();
  const auto first = put(*store, found("x.csv", "one"));
  const auto held = put(*store, abnormal(found("x.csv", ""), "it is empty"));
  CHECK(held.superseded_id == first.id);
  CHECK(put(*store, abnormal(found("x.csv", ""), "it is empty")).outcome == Outcome::kDuplicate);
  CHECK(files(*store).at(1).reason == "it is empty");
  CHECK(standings(*open()) == Standings{{"x.csv", {"superseded", "quarantined"}}});
  CHECK_FALSE(exists("pending"));
  CHECK_FALSE(store->is_accepted(kLandingArea, "x.csv", checksum_of("")));

  put(*store, found("x.csv", "mended"));
  CHECK(standings(*store) == Standings{{"x.csv", {"superseded", "quarantined", "pending"}}});
}

TEST_CASE_FIXTURE(StoreFixture, "a version is given another state by its id") {
  auto store = open();
  const auto id = put(*store, found("x.csv", "one")).id;
  CHECK(store->is_accepted(kLandingArea, "x.csv", checksum_of("one")));
  CHECK_FALSE(store->is_accepted(kLandingArea, "x.csv", checksum_of("two")));
  const StateChange change{id, FileState::kQuarantined, "wrong"};
  CHECK(must(store->change_states(std::span(&change, 1))) == 1);
  CHECK_FALSE(store->is_accepted(kLandingArea, "x.csv", checksum_of("one")));
  CHECK_FALSE(exists("pending"));
  CHECK(files(*open()).at(0).reason == "wrong");
}

TEST_CASE_FIXTURE(StoreFixture, "a released file remembers why it was held") {
  auto store = open();
  FileRecord released = found("x.csv", "one");
  released.identity.reset();
  released.reason = "released: it had been too small";
  const auto id = put(*store, released).id;
  CHECK(store->is_accepted(kLandingArea, "x.csv", checksum_of("one")));
  CHECK(put(*store, found("x.csv", "one")).id == id);
  CHECK(files(*store).at(0).identity.has_value());
  CHECK(files(*store).at(0).reason == "released: it had been too small");
  // A watcher that has not heard of the release yet.
  CHECK(put(*store, abnormal(found("x.csv", "one", 2), "it is too small")).outcome ==
        Outcome::kUpdated);
  CHECK(files(*store).at(0).state == FileState::kReady);
}

TEST_CASE_FIXTURE(StoreFixture, "the same bytes delivered anew after the file was gone are sent") {
  auto store = open();
  append(*store, row(put(*store, found("x.csv", "one", 1)).id, kSuccessful));
  const std::vector<std::string> paths = {"x.csv"};
  must(store->mark_missing(kLandingArea, paths, "gone"));
  CHECK(put(*store, found("x.csv", "one", 2)).outcome == Outcome::kInserted);
  CHECK(standings(*store) == Standings{{"x.csv", {"successful", "pending"}}});
}

TEST_CASE_FIXTURE(StoreFixture, "a path out of the landing area cannot be registered") {
  auto store = open();
  CHECK(store->register_files({found("../x", "one")}).error().kind == ErrorKind::kInvalid);
  CHECK_FALSE(exists("file_registry.jsonl"));
}

// Registries of others.

const std::string kForeign =
    R"({"id":"f1","path":"x.csv","updated_date":"2026-11-22","checksum":"d41d8cd98f00b204e9800998ecf8427e","owner":"joe"})";

TEST_CASE_FIXTURE(StoreFixture, "a registry written by hand is adopted as it is") {
  write("file_registry.jsonl", kForeign + "\n");
  CHECK(standings(*look()) == Standings{{"x.csv", {"pending"}}});
  CHECK_FALSE(exists("metastore.json"));
  auto store = open();
  CHECK(content("metastore.json") == "{\"format_version\":1}\n");
  CHECK(exists("pending"));
  CHECK(standings(*store) == Standings{{"x.csv", {"pending"}}});
}

TEST_CASE_FIXTURE(StoreFixture, "a last row without line end is a row all the same") {
  write("file_registry.jsonl", kForeign);
  CHECK(standings(*open()) == Standings{{"x.csv", {"pending"}}});
  CHECK(content("file_registry.jsonl") == kForeign + "\n");
}

TEST_CASE_FIXTURE(StoreFixture, "a foreign row gains an identity; its other columns survive") {
  auto foreign = found("x.csv", "one");
  write("file_registry.jsonl",
        R"({"id":"f1","path":"x.csv","updated_date":"2026-11-22","checksum":")" +
            foreign.checksum.to_string() + "\",\"owner\":\"joe\"}\n");
  auto store = open();
  CHECK(put(*store, foreign).outcome == Outcome::kUpdated);
  CHECK(put(*store, foreign).outcome == Outcome::kDuplicate);
  const auto history = must(store->history("f1")).file;
  REQUIRE(history.size() == 2);
  CHECK(history[1].unknown_columns == R"({"owner":"joe"})");
  CHECK(history[1].landing == kLandingArea);
  CHECK(files(*open()).size() == 1);
}

TEST_CASE_FIXTURE(StoreFixture, "a foreign row with another algorithm is superseded") {
  write("file_registry.jsonl", kForeign + "\n");
  auto store = open();
  CHECK(put(*store, found("x.csv", "")).superseded_id == "f1");
}

TEST_CASE_FIXTURE(StoreFixture, "a log row that names no destination holds for any") {
  write("file_registry.jsonl", kForeign + "\n");
  write("transfer_logs.jsonl",
        R"({"id":"f1","transfer_status":"successful","transfer_date":"2026-11-22"})"
        "\n");
  CHECK(standings(*open()) == Standings{{"x.csv", {"successful"}}});
  CHECK_FALSE(exists("pending"));
}

TEST_CASE_FIXTURE(StoreFixture, "log rows may come before the rows of their files") {
  auto store = open();
  append(*store, row("f1", kSuccessful));
  CHECK(files(*store).empty());
  auto imported = *parse_file_record(kForeign);
  CHECK(must(store->import_files({imported, imported})) == 1);
  CHECK(must(store->import_files({imported})) == 0);
  CHECK(standings(*store) == Standings{{"x.csv", {"successful"}}});
}

// Damage.

TEST_CASE_FIXTURE(StoreFixture, "a store cut at any byte of its last rows can be used") {
  {
    auto store = open();
    put(*store, found("a.csv", "one"));
    put(*store, found("b.csv", "one"));
  }
  const std::string whole = content("file_registry.jsonl");
  const std::size_t first = whole.find('\n') + 1;
  for (std::size_t size = first; size <= whole.size(); ++size) {
    CAPTURE(size);
    write("file_registry.jsonl", whole.substr(0, size));
    CHECK(files(*look()).size() == (size == whole.size() ? 2 : 1));
    auto store = open();
    const bool has_second = size + 1 >= whole.size();
    CHECK(files(*store).size() == (has_second ? 2 : 1));
    put(*store, found("c.csv", "one"));
    CHECK(files(*open()).size() == (has_second ? 3 : 2));
    CHECK(store->damages().empty());
  }
}

TEST_CASE_FIXTURE(StoreFixture, "logs cut at any byte of the last row can be used") {
  std::string id;
  {
    auto store = open();
    id = put(*store, found("a.csv", "one")).id;
    append(*store, row(id, kInProgress));
    append(*store, row(id, kSuccessful));
  }
  const std::string whole = content("transfer_logs.jsonl");
  for (std::size_t size = whole.find('\n') + 1; size + 1 < whole.size(); ++size) {
    CAPTURE(size);
    write("transfer_logs.jsonl", whole.substr(0, size));
    auto store = open();
    CHECK(standings(*store) == Standings{{"a.csv", {"pending"}}});
    append(*store, row(id, kSuccessful));
    CHECK(standings(*open()) == Standings{{"a.csv", {"successful"}}});
  }
}

TEST_CASE_FIXTURE(StoreFixture, "a damaged row is reported with its line, and kept") {
  {
    auto store = open();
    put(*store, found("a.csv", "one"));
    put(*store, found("b.csv", "one"));
    put(*store, found("c.csv", "one"));
  }
  std::string table = content("file_registry.jsonl");
  const std::size_t second = table.find('\n') + 1;
  table[second] = '#';
  write("file_registry.jsonl", table);
  auto store = open();
  REQUIRE(store->damages().size() == 1);
  CHECK(store->damages()[0].table == "file_registry");
  CHECK(store->damages()[0].line == 2);
  CHECK(store->damages()[0].reason.find("not valid JSON") != std::string::npos);
  CHECK(standings(*store) == Standings{{"a.csv", {"pending"}}, {"c.csv", {"pending"}}});
  put(*store, found("d.csv", "one"));
  CHECK(store->damages().size() == 1);
  CHECK(content("file_registry.jsonl").starts_with(table));
}

TEST_CASE_FIXTURE(StoreFixture, "no flipped byte in the middle stops the other records") {
  {
    auto store = open();
    put(*store, found("a.csv", "one"));
    put(*store, found("b.csv", "one"));
    put(*store, found("c.csv", "one"));
  }
  const std::string whole = content("file_registry.jsonl");
  const std::size_t begin = whole.find('\n') + 1;
  const std::size_t end = whole.find('\n', begin);
  for (std::size_t i = begin; i < end; ++i) {
    CAPTURE(i);
    for (const char byte : {'\0', '\n', '"', '\xFF'}) {
      std::string table = whole;
      table[i] = byte;
      write("file_registry.jsonl", table);
      const auto all = standings(*look());
      CHECK(all.contains("a.csv"));
      CHECK(all.contains("c.csv"));
    }
  }
}

TEST_CASE_FIXTURE(StoreFixture, "readers follow a table that is replaced") {
  auto writer = open();
  put(*writer, found("a.csv", "one"));
  put(*writer, found("b.csv", "one"));
  auto reader = look();
  CHECK(standings(*reader).size() == 2);
  const std::string table = content("file_registry.jsonl");
  must(replace_file(file("file_registry.jsonl"), table.substr(table.find('\n') + 1)));
  CHECK(standings(*reader) == Standings{{"b.csv", {"pending"}}});
  put(*writer, found("c.csv", "one"));
  CHECK(standings(*reader) == Standings{{"b.csv", {"pending"}}, {"c.csv", {"pending"}}});
}

// Opening.

ErrorKind refusal(const Result<std::unique_ptr<Metastore>>& store) {
  return store ? ErrorKind::kFailed : store.error().kind;
}

TEST_CASE_FIXTURE(StoreFixture, "a newer format is refused, and nothing is changed") {
  write("metastore.json", R"({"format_version":2})");
  const auto store = open_metastore(directory(), options());
  CHECK(refusal(store) == ErrorKind::kCorrupt);
  CHECK(store.error().message.find("format 2") != std::string::npos);
  CHECK(refusal(open_metastore_for_reading(directory(), options())) == ErrorKind::kCorrupt);
  CHECK(std::distance(fs::directory_iterator(directory()), fs::directory_iterator()) == 1);
}

TEST_CASE_FIXTURE(StoreFixture, "an unreadable format is refused") {
  for (const char* text : {"", "{}", "[]", R"({"format_version":"1"})"}) {
    write("metastore.json", text);
    CHECK(refusal(open_metastore(directory(), options())) == ErrorKind::kCorrupt);
    CHECK(content("metastore.json") == text);
  }
}

TEST_CASE_FIXTURE(StoreFixture, "a format that becomes newer stops a running writer") {
  auto store = open();
  write("metastore.json", R"({"format_version":2})");
  CHECK(store->register_files({found("x", "one")}).error().kind == ErrorKind::kCorrupt);
}

TEST_CASE_FIXTURE(StoreFixture, "a directory of other things is no metastore") {
  write("holiday.jpg", "");
  CHECK(refusal(open_metastore(directory(), options())) == ErrorKind::kCorrupt);
  CHECK_FALSE(exists("lock"));
  CHECK_FALSE(exists("metastore.json"));
}

TEST_CASE_FIXTURE(StoreFixture, "who only looks makes nothing") {
  CHECK(refusal(open_metastore_for_reading(directory(), options())) == ErrorKind::kNotFound);
  must(make_directories(directory()));
  CHECK(refusal(open_metastore_for_reading(directory(), options())) == ErrorKind::kNotFound);
  CHECK(fs::is_empty(directory()));
  open();
  auto reader = look();
  CHECK(reader->register_files({found("x", "one")}).error().kind == ErrorKind::kDenied);
}

TEST_CASE_FIXTURE(StoreFixture, "a directory that may not be written is named") {
  must(make_directories(directory()));
  fs::permissions(directory(), fs::owner_read | fs::owner_exe | fs::others_read | fs::others_exe);
  const pid_t child = in_child([&] {
    if (::geteuid() == 0 && ::setuid(65534) != 0) return 1;
    const auto store = open_metastore(directory(), options());
    if (store || store.error().kind != ErrorKind::kDenied) return 2;
    return store.error().message.find(directory().string()) == std::string::npos ? 3 : 0;
  });
  fs::permissions(directory().parent_path(), fs::owner_all | fs::others_read | fs::others_exe);
  CHECK(exit_code(child) == 0);
  CHECK(fs::is_empty(directory()));
}

TEST_CASE_FIXTURE(StoreFixture, "a store that others hold too long is busy") {
  Options impatient = options();
  impatient.lock_timeout = std::chrono::milliseconds(5);
  auto store = must(open_metastore(directory(), impatient));
  auto fd = must(open_file(file("lock"), O_RDWR));
  struct flock whole{};
  whole.l_type = F_WRLCK;
  REQUIRE(::fcntl(fd.get(), F_OFD_SETLK, &whole) == 0);
  CHECK(store->register_files({found("x", "one")}).error().kind == ErrorKind::kBusy);
  fd.reset();
  CHECK(store->register_files({found("x", "one")}));
}

TEST_CASE_FIXTURE(StoreFixture, "a history has all rows of a file, oldest first") {
  auto store = open();
  const auto id = put(*store, found("x.csv", "one")).id;
  put(*store, found("y.csv", "one"));
  append(*store, row(id, kInProgress));
  append(*store, row(id, kSuccessful));
  put(*store, found("x.csv", "one", 2));
  const auto history = must(store->history(id));
  REQUIRE(history.file.size() == 2);
  CHECK(history.file[0].identity->inode == 1);
  CHECK(history.file[1].identity->inode == 2);
  REQUIRE(history.transfers.size() == 2);
  CHECK(history.transfers[0].status == kInProgress);
  CHECK(history.transfers[1].status == kSuccessful);
  CHECK(must(store->history("unknown")).file.empty());
}

}  // namespace
}  // namespace ferry::metastore
