// The index beside the tables: what happens to it never changes an answer.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <random>

#include "metastore/jsonl/index/database.h"
#include "metastore/jsonl/tables/directory.h"
#include "store_fixture.h"

namespace ferry::metastore {
namespace {

using testing::exit_code;
using testing::found;
using testing::in_child;
using testing::kLandingArea;
using testing::kTo;
using testing::must;
using testing::StoreFixture;
using enum TransferStatus;

constexpr uid_t kNobody = 65534;

class IndexFixture : public StoreFixture {
 public:
  void fill(int files = 40) const {
    auto store = open();
    for (int i = 0; i < files; ++i) {
      const auto id = put(*store, found(fmt::format("{}.csv", i % 30), std::to_string(i))).id;
      append(*store, row(id, kInProgress));
      if (i % 3 != 0) append(*store, row(id, i % 3 == 1 ? kSuccessful : kFailed));
    }
  }

  /// All that can be asked, as one text.
  static std::string answers(Metastore& store) {
    std::string text;
    const auto add = [&](const FileRecord& file, std::span<const Delivery> deliveries) {
      text += to_line(file);
      for (const Delivery& one : deliveries) {
        text += fmt::format("{} {} {} {}\n", one.destination, to_string(one.status), one.attempt,
                            one.error_message);
      }
    };
    must(store.visit({}, add));
    must(store.visit({.landings = {kLandingArea}, .latest_versions = true}, add));
    for (std::size_t i = 0; i < kStandings; ++i) {
      const auto standing = static_cast<Standing>(i);
      text += fmt::format("{}\n", must(store.totals(kTo))[standing].files);
      must(store.visit({.standings = {standing}, .destination = kTo}, add));
    }
    must(store.visit_transfers({}, [&](const FileRecord& file, const Delivery& one) {
      text += fmt::format("{} {}\n", file.id, one.batch_id);
    }));
    for (const History& history : must(store.history("3.csv"))) {
      for (const FileRecord& one : history.file) text += to_line(one);
      for (const TransferRecord& one : history.transfers) text += to_line(one);
    }
    text += fmt::format("{} {}", must(store.is_pending()), must(store.upkeep().damaged_rows()));
    return text;
  }

  /// Moves everything from the log to the index itself.
  void settle() const {
    const auto opened = must(Directory::open(directory()));
    auto database = must(Database::open(opened.fd(), "index.sqlite", Database::Access::kWrite));
    database.query("PRAGMA wal_checkpoint(TRUNCATE)").next();
  }
  void change(const char* sql) const {
    const auto opened = must(Directory::open(directory()));
    auto database = must(Database::open(opened.fd(), "index.sqlite", Database::Access::kWrite));
    database.execute(sql);
    REQUIRE_FALSE(database.failure());
  }
  std::int64_t number_in(const char* sql) const {
    const auto opened = must(Directory::open(directory()));
    auto database = must(Database::open(opened.fd(), "index.sqlite", Database::Access::kRead));
    auto row = database.query(sql);
    REQUIRE(row.next());
    return row.integer(0);
  }
  void remove_index() const {
    for (const char* suffix : {"", "-wal", "-shm"}) {
      fs::remove(file(std::string("index.sqlite") + suffix));
    }
  }
  void overwrite(const std::string& name, std::uint64_t offset, std::string_view bytes) const {
    auto fd = must(open_file(file(name), O_WRONLY));
    REQUIRE(::pwrite(fd.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset)) ==
            static_cast<ssize_t>(bytes.size()));
  }

  /// Everything is answered as BEFORE, by whoever looks, and can be gone on with.
  void check_all_is_well(const std::string& before) const {
    CHECK(answers(*look()) == before);
    CHECK(answers(*open()) == before);
    check_index();
    auto store = open();
    const auto more = put(*store, found("more.csv", "more"));
    CHECK(more.outcome == Registration::Outcome::kInserted);
    check_index();
  }
};

TEST_CASE_FIXTURE(IndexFixture, "an index that is gone is built again") {
  fill();
  const std::string before = answers(*look());
  SUBCASE("whole") {
    remove_index();
  }
  SUBCASE("but for its log") {
    fs::remove(file("index.sqlite"));
  }
  SUBCASE("or only its log is") {
    settle();
    fs::remove(file("index.sqlite-wal"));
    fs::remove(file("index.sqlite-shm"));
  }
  SUBCASE("under whoever has it open") {
    auto store = open();
    auto reader = look();
    CHECK(answers(*reader) == before);
    remove_index();
    CHECK(answers(*reader) == before);
    CHECK(answers(*store) == before);
    remove_index();
    CHECK(put(*store, found("x.csv", "x")).outcome == Registration::Outcome::kInserted);
    CHECK(answers(*reader) == answers(*store));
    remove_index();
    check_index();
    return;
  }
  check_all_is_well(before);
}

TEST_CASE_FIXTURE(IndexFixture, "an index that is none is built again") {
  fill();
  const std::string before = answers(*look());
  SUBCASE("empty") {
    write("index.sqlite", "");
  }
  SUBCASE("text") {
    write("index.sqlite", std::string(10'000, 'x'));
  }
  SUBCASE("a directory") {
    remove_index();
    must(make_directories(file("index.sqlite")));
    CHECK(answers(*look()) == before);
    CHECK(answers(*open()) == before);
    return;
  }
  SUBCASE("a link") {
    const fs::path elsewhere = directory().parent_path() / "elsewhere";
    fs::rename(file("index.sqlite"), elsewhere);
    fs::create_symlink(elsewhere, file("index.sqlite"));
    check_all_is_well(before);
    CHECK_FALSE(fs::is_symlink(file("index.sqlite")));
    return;
  }
  SUBCASE("of a newer version") {
    change("PRAGMA user_version = 99");
  }
  SUBCASE("of an older one") {
    change("PRAGMA user_version = 0");
  }
  SUBCASE("with other tables") {
    change("ALTER TABLE file ADD COLUMN more");
  }
  SUBCASE("with something of somebody else's") {
    change("CREATE TRIGGER more AFTER INSERT ON file BEGIN DELETE FROM file; END");
  }
  check_all_is_well(before);
}

TEST_CASE_FIXTURE(IndexFixture, "an index that was cut short is built again") {
  fill(400);
  const std::string before = answers(*look());
  settle();
  const auto size = fs::file_size(file("index.sqlite"));
  const std::string whole = content("index.sqlite");
  for (std::uintmax_t left = 0; left < size; left += size / 7 + 100) {
    CAPTURE(left);
    remove_index();
    write("index.sqlite", whole.substr(0, left));
    CHECK(answers(*look()) == before);
    check_index();
  }
}

TEST_CASE_FIXTURE(IndexFixture, "pages of noise are noticed by whoever meets them") {
  fill(300);
  const std::string before = answers(*look());
  settle();
  const std::string whole = content("index.sqlite");
  const std::string registry = content("file_registry.jsonl");
  std::mt19937 random(7);
  std::string noise(4096, '\0');
  for (std::size_t page = 0; page * 4096 < whole.size(); ++page) {
    CAPTURE(page);
    for (char& byte : noise) byte = static_cast<char>(random());
    const auto spoil = [&] {
      remove_index();
      write("index.sqlite", whole);
      overwrite("index.sqlite", page * 4096, noise);
    };
    spoil();
    CHECK(answers(*look()) == before);
    for (const std::string& left : must(open()->upkeep().verify())) {
      CHECK(left.find("malformed") != left.npos);  // in a page that no answer needed
    }
    spoil();
    const auto again = put(*open(), found("4.csv", "274"));
    CHECK(again.outcome == Registration::Outcome::kDuplicate);
    CHECK(content("file_registry.jsonl") == registry);
  }
}

TEST_CASE_FIXTURE(IndexFixture, "tables that were changed by hand are read anew") {
  fill();
  auto store = open();
  auto reader = look();
  answers(*reader);
  const std::string registry = content("file_registry.jsonl");
  std::string edited = registry;
  const auto replace_all = [&](std::string_view what, std::string_view with) {
    for (auto at = edited.find(what); at != edited.npos; at = edited.find(what, at + with.size())) {
      edited.replace(at, what.size(), with);
    }
  };
  SUBCASE("by sed -i, which makes another file") {
    replace_all("7.csv", "7.txt");
    must(replace_file(file("file_registry.jsonl"), edited));
  }
  SUBCASE("in place, at the same length") {
    replace_all("7.csv", "7.txt");
    overwrite("file_registry.jsonl", 0, edited);
  }
  SUBCASE("in place, longer") {
    replace_all("7.csv", "7.longer");
    write("file_registry.jsonl", edited);
  }
  SUBCASE("cut short") {
    edited = registry.substr(0, registry.size() / 2);
    edited.resize(edited.rfind('\n') + 1);
    fs::resize_file(file("file_registry.jsonl"), edited.size());
  }
  SUBCASE("by mv") {
    edited = registry.substr(registry.find('\n') + 1);
    write("other", edited);
    fs::rename(file("other"), file("file_registry.jsonl"));
  }
  SUBCASE("by echo >>") {
    edited += registry.substr(0, registry.find('\n') + 1).replace(7, 8, "deadbeef");
    add("file_registry.jsonl", edited.substr(registry.size()));
  }
  SUBCASE("to nothing") {
    edited.clear();
    fs::remove(file("file_registry.jsonl"));
  }
  // What a store says that never saw anything else.
  testing::StoreFixture fresh;
  if (!edited.empty()) fresh.write("file_registry.jsonl", edited);
  fresh.write("transfer_logs.jsonl", content("transfer_logs.jsonl"));
  const std::string expected = answers(*fresh.open());
  CHECK(answers(*reader) == expected);
  CHECK(answers(*store) == expected);
  check_index();
}

/// Runs as somebody else. The exit code is 0 if WORK() is true.
template <typename Work>
int as_nobody(Work work) {
  return exit_code(in_child([&] {
    if (::setgid(kNobody) != 0 || ::setuid(kNobody) != 0) return 77;
    return work() ? 0 : 1;
  }));
}

TEST_CASE_FIXTURE(IndexFixture, "who may not write reads the index, and folds what it lacks") {
  if (::geteuid() != 0) return;
  must(make_directories(directory()));
  fs::permissions(directory().parent_path(), fs::owner_all | fs::group_exe | fs::others_exe);
  fs::permissions(directory(), fs::owner_all | fs::others_read | fs::others_exe);
  fill();
  const std::string before = answers(*look());
  const auto sees = [&](const std::string& expected) {
    return as_nobody([&] {
      auto store = backend->look(options());
      return store && answers(**store) == expected && answers(**store) == expected;
    });
  };
  CHECK(sees(before) == 0);
  const auto modified = fs::last_write_time(file("index.sqlite"));
  const std::string line = content("file_registry.jsonl");
  add("file_registry.jsonl", line.substr(0, line.find('\n') + 1).replace(7, 8, "deadbeef"));
  testing::StoreFixture fresh;
  fresh.write("file_registry.jsonl", content("file_registry.jsonl"));
  fresh.write("transfer_logs.jsonl", content("transfer_logs.jsonl"));
  const std::string after = answers(*fresh.open());
  REQUIRE(after != before);
  CHECK(sees(after) == 0);
  CHECK(fs::last_write_time(file("index.sqlite")) == modified);
  SUBCASE("where there is no log") {
    settle();
    fs::remove(file("index.sqlite-wal"));
    fs::remove(file("index.sqlite-shm"));
  }
  SUBCASE("where there is no index") {
    remove_index();
  }
  SUBCASE("where it may not read it") {
    fs::permissions(file("index.sqlite"), fs::owner_all);
  }
  CHECK(sees(after) == 0);
  CHECK(answers(*open()) == after);
}

TEST_CASE_FIXTURE(IndexFixture, "who may not write the index, but the tables, makes another") {
  if (::geteuid() != 0) return;
  fs::permissions(directory().parent_path(), fs::owner_all | fs::group_exe | fs::others_exe);
  fill();
  const std::string before = answers(*look());
  for (const auto& entry : fs::recursive_directory_iterator(directory())) {
    REQUIRE(::chown(entry.path().c_str(), kNobody, kNobody) == 0);
  }
  REQUIRE(::chown(directory().c_str(), kNobody, kNobody) == 0);
  SUBCASE("because it is somebody else's") {
    for (const char* suffix : {"", "-wal", "-shm"}) {
      REQUIRE(::chown(file(std::string("index.sqlite") + suffix).c_str(), 0, 0) == 0);
    }
  }
  SUBCASE("because it is read-only") {
    for (const char* suffix : {"", "-wal", "-shm"}) {
      fs::permissions(file(std::string("index.sqlite") + suffix), fs::owner_read);
    }
  }
  CHECK(as_nobody([&] {
          auto store = backend->open(options());
          return store && answers(**store) == before &&
                 (*store)->register_files({found("more.csv", "more")}) &&
                 (*store)->upkeep().verify()->empty();
        }) == 0);
  struct stat status{};
  REQUIRE(::stat(file("index.sqlite").c_str(), &status) == 0);
  CHECK(status.st_uid == kNobody);
}

TEST_CASE_FIXTURE(IndexFixture, "root leaves nothing of its own in another's metastore") {
  if (::geteuid() != 0) return;
  fs::permissions(directory().parent_path(), fs::owner_all | fs::group_exe | fs::others_exe);
  must(make_directories(directory()));
  REQUIRE(::chown(directory().c_str(), kNobody, kNobody) == 0);
  fs::permissions(directory(), fs::owner_all);
  fill();
  const auto store = open();
  const auto agent = must(store->join());
  must(store->upkeep().compact(now() + std::chrono::hours(1)));
  for (const auto& entry : fs::recursive_directory_iterator(directory())) {
    CAPTURE(entry.path().string());
    struct stat status{};
    REQUIRE(::lstat(entry.path().c_str(), &status) == 0);
    CHECK(status.st_uid == kNobody);
    CHECK(status.st_gid == kNobody);
  }
  CHECK(::geteuid() == 0);
  CHECK(::access("/proc/1/environ", R_OK) == 0);  // root's rights are back
}

TEST_CASE_FIXTURE(IndexFixture, "somebody who keeps the index locked does not keep us") {
  fill();
  const std::string before = answers(*look());
  const auto opened = must(Directory::open(directory()));
  auto other = must(Database::open(opened.fd(), "index.sqlite", Database::Access::kWrite));
  other.begin_writing();
  REQUIRE_FALSE(other.failure());
  CHECK(answers(*look()) == before);
  auto store = open();
  CHECK(put(*store, found("more.csv", "more")).outcome == Registration::Outcome::kInserted);
  CHECK(answers(*store) != before);
  other.rollback();
  CHECK(answers(*look()) == answers(*store));
  check_index();
}

TEST_CASE_FIXTURE(IndexFixture, "a holder of the metastore's lock does not keep who only asks") {
  fill();
  auto reader = look();
  answers(*reader);
  auto fd = must(open_file(file("lock"), O_RDWR));
  struct flock whole{};
  whole.l_type = F_WRLCK;
  REQUIRE(::fcntl(fd.get(), F_OFD_SETLK, &whole) == 0);
  const std::string line = content("file_registry.jsonl");
  add("file_registry.jsonl", line.substr(0, line.find('\n') + 1).replace(7, 8, "deadbeef"));
  const auto count = [](Metastore& store) { return files(store).size(); };
  const std::size_t after = count(*reader);
  fd.reset();
  CHECK(count(*look()) == after);
  CHECK(after == 41);
}

TEST_CASE_FIXTURE(IndexFixture, "all rows of what has many are found, in their order") {
  auto store = open();
  const auto id = put(*store, found("x.csv", "1")).id;
  constexpr std::size_t kRows = 1'000;
  for (std::size_t i = 0; i < kRows; ++i) {
    const auto state = i % 2 == 0 ? FileState::kQuarantined : FileState::kReady;
    const std::vector<StateChange> change{{.id = id, .state = state, .reason = std::to_string(i)}};
    must(store->change_states(change));
    append(*store, row(id, kFailed, static_cast<std::int64_t>(i)));
  }
  const auto check = [&](Metastore& asked) {
    const auto history = must(asked.history(id));
    REQUIRE(history.size() == 1);
    REQUIRE(history[0].file.size() == kRows + 1);
    REQUIRE(history[0].transfers.size() == kRows);
    for (std::size_t i = 0; i < kRows; ++i) {
      REQUIRE(history[0].file[i + 1].reason == std::to_string(i));
      REQUIRE(history[0].transfers[i].attempt == static_cast<std::int64_t>(i));
    }
  };
  check(*store);
  check_index();
  remove_index();
  check(*look());
  check_index();
  CHECK(must(store->upkeep().compact(now())).rows_after == 2);
  check(*store);
  check_index();
}

TEST_CASE_FIXTURE(IndexFixture, "a text in many paths is found whatever of them is indexed") {
  // Words of every kind of length and order, so that the parts of one are found in others.
  constexpr std::string_view kSyllables[] = {"ab",      "bc",  "ca", "\u00e4b",
                                             "\u20acb", "\"b", "% ", "'*"};
  std::mt19937 random(3);
  const auto text_of = [&](int syllables) {
    std::string text;
    for (int i = 0; i < syllables; ++i) text += kSyllables[random() % std::size(kSyllables)];
    return text;
  };
  auto store = open();
  std::vector<FileRecord> files;
  for (int i = 0; i < 5'000; ++i) {
    files.push_back(found(fmt::format("{}/{}", text_of(4), i), std::to_string(i)));
  }
  must(store->register_files(files));
  const auto check = [&](Metastore& asked) {
    for (int i = 0; i < 50; ++i) {
      const std::string text = text_of(1 + i % 4).substr(0, 1 + random() % 8);
      CAPTURE(text);
      std::vector<std::string> meant;
      for (const FileRecord& file : files) {
        if (file.path.find(text) != std::string::npos) meant.push_back(file.path);
      }
      const auto paths = [&](const FileQuery& query) {
        std::vector<std::string> seen;
        must(asked.visit(query, [&](const FileRecord& file, auto) { seen.push_back(file.path); }));
        return seen;
      };
      CHECK(paths({.text = text}) == meant);
      CHECK(paths({.text = text, .standings = {Standing::kPending}, .destination = kTo}) == meant);
      std::ranges::reverse(meant);
      CHECK(paths({.text = text, .newest_first = true}) == meant);
    }
  };
  check(*store);  // it indexes them
  CHECK(number_in("SELECT last FROM path_parts_until") == 5'000);
  files.push_back(found("\u00e4bab, not indexed yet", "x"));
  must(store->register_files({files.back()}));
  CHECK(number_in("SELECT last FROM path_parts_until") == 5'000);
  check(*store);
  check(*look());
  check_index();
  remove_index();
  check(*look());
  check_index();
}

TEST_CASE_FIXTURE(IndexFixture, "a file whose path was edited is found by its new one") {
  auto store = open();
  std::vector<FileRecord> files;
  for (int i = 0; i < 3'000; ++i) files.push_back(found(fmt::format("first/{}.csv", i), "x"));
  must(store->register_files(files));
  const auto count = [&](std::string_view text) {
    std::size_t seen = 0;
    must(store->visit({.text = std::string(text)}, [&](const auto&, auto) { ++seen; }));
    return seen;
  };
  REQUIRE(count("first/7.csv") == 1);
  FileRecord edited =
      *must(store->latest(kLandingArea, std::vector<std::string>{"first/7.csv"}))[0];
  edited.path = "second/7.csv";
  add("file_registry.jsonl", to_line(edited));
  CHECK(count("first/7.csv") == 0);
  CHECK(count("second") == 1);
  check_index();
}

TEST_CASE_FIXTURE(IndexFixture, "what names are kept in memory does not grow with what was read") {
  auto store = open();
  const auto id = put(*store, found("x.csv", "1")).id;
  std::vector<TransferRecord> rows;
  for (int i = 0; i < 20'000; ++i) {
    rows.push_back(row(id, kFailed, 1));
    rows.back().error->kind = fmt::format("kind {}", i);
    rows.back().agent = fmt::format("agent {}", i);
  }
  must(store->append_transfers(rows));
  CHECK(must(store->totals(kTo)).failed_by_kind.size() == 1);
  CHECK(must(store->history(id)).at(0).transfers.size() == rows.size());
  check_index();
}

}  // namespace
}  // namespace ferry::metastore
