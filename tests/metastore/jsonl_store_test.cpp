// What the JSON-lines store does with its files: rows by other hands, damage, opening, the marker.
#include <sys/stat.h>

#include <csignal>

#include "store_fixture.h"

namespace ferry::metastore {
namespace {

using testing::exit_code;
using testing::found;
using testing::in_child;
using testing::kLandingArea;
using testing::must;
using testing::Standings;
using testing::StoreFixture;
using enum TransferStatus;

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

TEST_CASE_FIXTURE(StoreFixture, "rows that others append are seen, whoever looks first") {
  auto store = open();
  put(*store, found("a.csv", "one"));
  add("file_registry.jsonl", kForeign + "\n");
  SUBCASE("a reader") {
    CHECK(standings(*look()).size() == 2);
  }
  SUBCASE("a writer") {
    put(*store, found("b.csv", "one"));
  }
  SUBCASE("nobody yet") {}
  add("transfer_logs.jsonl",
      R"({"id":"f1","transfer_status":"successful","transfer_date":"2026-11-22"})"
      "\n");
  CHECK(standings(*store).at("x.csv") == std::vector<std::string>{"successful"});
  check_index();
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
    CHECK(must(store->upkeep().damaged_rows()) == 0);
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
  const auto damages = must(store->upkeep().damages(10));
  REQUIRE(damages.size() == 1);
  CHECK(damages[0].table == "file_registry");
  CHECK(damages[0].line == 2);
  CHECK(damages[0].reason.find("not valid JSON") != std::string::npos);
  CHECK(standings(*store) == Standings{{"a.csv", {"pending"}}, {"c.csv", {"pending"}}});
  put(*store, found("d.csv", "one"));
  CHECK(must(store->upkeep().damaged_rows()) == 1);
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

TEST_CASE_FIXTURE(StoreFixture, "a line without end is damage, and costs no memory") {
  put(*open(), found("a.csv", "one"));
  const std::string endless(3 << 20, 'x');
  add("file_registry.jsonl", endless);
  CHECK(standings(*look()) == Standings{{"a.csv", {"pending"}}});
  SUBCASE("in the middle") {
    add("file_registry.jsonl", "\n" + kForeign + "\n");
    const auto store = open();
    CHECK(standings(*store) == Standings{{"a.csv", {"pending"}}, {"x.csv", {"pending"}}});
    const auto damages = must(store->upkeep().damages(10));
    REQUIRE(damages.size() == 1);
    CHECK(damages[0].line == 2);
    CHECK(damages[0].reason == "the row is too long");
    must(store->upkeep().compact(now()));
    CHECK(content("file_registry.jsonl").find(endless) != std::string::npos);
  }
  SUBCASE("at the end") {
    put(*open(), found("b.csv", "one"));
    CHECK(content("file_registry.jsonl").find("xxx") == std::string::npos);
    std::uintmax_t kept = 0;
    for (const auto& entry : fs::directory_iterator(file("damaged"))) kept += fs::file_size(entry);
    CHECK(kept == endless.size());
  }
  check_index();
}

// A row that a reader has seen, and that was taken back: its write had failed.
TEST_CASE_FIXTURE(StoreFixture,
                  "a row that was cut off again and replaced by another is not kept") {
  auto store = open();
  put(*store, found("a.csv", "one"));
  auto reader = look();
  const auto size = content("file_registry.jsonl").size();
  const std::string phantom = std::string(kForeign).replace(7, 2, "p1") + "\n";
  add("file_registry.jsonl", phantom);
  CHECK(standings(*reader).contains("x.csv"));
  fs::resize_file(file("file_registry.jsonl"), size);
  add("file_registry.jsonl", kForeign + "\n");
  const std::vector<std::string> ids{"p1", "f1"};
  for (Metastore* one : {reader.get(), store.get()}) {
    const auto found = must(one->find(ids));
    CHECK_FALSE(found[0]);
    CHECK(found[1]);
  }
}

// Opening.

ErrorKind refusal(const Result<std::unique_ptr<Metastore>>& store) {
  return store ? ErrorKind::kFailed : store.error().kind;
}

TEST_CASE_FIXTURE(StoreFixture, "a newer format is refused, and nothing is changed") {
  write("metastore.json", R"({"format_version":2})");
  const auto store = backend->open(options());
  CHECK(refusal(store) == ErrorKind::kCorrupt);
  CHECK(store.error().message.find("format 2") != std::string::npos);
  CHECK(refusal(backend->look(options())) == ErrorKind::kCorrupt);
  CHECK(std::distance(fs::directory_iterator(directory()), fs::directory_iterator()) == 1);
}

TEST_CASE_FIXTURE(StoreFixture, "an unreadable format is refused") {
  for (const char* text : {"", "{}", "[]", R"({"format_version":"1"})"}) {
    write("metastore.json", text);
    CHECK(refusal(backend->open(options())) == ErrorKind::kCorrupt);
    CHECK(content("metastore.json") == text);
  }
}

TEST_CASE_FIXTURE(StoreFixture, "a format that becomes newer stops a running writer") {
  auto store = open();
  write("metastore.json", R"({"format_version":2})");
  CHECK(store->register_files({found("x", "one")}).error().kind == ErrorKind::kCorrupt);
}

TEST_CASE_FIXTURE(StoreFixture, "a directory of other things is not a metastore") {
  write("holiday.jpg", "");
  CHECK(refusal(backend->open(options())) == ErrorKind::kCorrupt);
  CHECK_FALSE(exists("lock"));
  CHECK_FALSE(exists("metastore.json"));
}

TEST_CASE_FIXTURE(StoreFixture, "who only looks makes nothing") {
  CHECK(refusal(backend->look(options())) == ErrorKind::kNotFound);
  must(make_directories(directory()));
  CHECK(refusal(backend->look(options())) == ErrorKind::kNotFound);
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
    const auto store = backend->open(options());
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
  auto store = must(backend->open(impatient));
  auto fd = must(open_file(file("lock"), O_RDWR));
  struct flock whole{};
  whole.l_type = F_WRLCK;
  REQUIRE(::fcntl(fd.get(), F_OFD_SETLK, &whole) == 0);
  CHECK(store->register_files({found("x", "one")}).error().kind == ErrorKind::kBusy);
  fd.reset();
  CHECK(store->register_files({found("x", "one")}));
}

TEST_CASE_FIXTURE(StoreFixture, "a URL of a store that is not built in is refused") {
  const auto store = open_metastore("mysql://ann:secret@host/db", options());
  CHECK(refusal(store) == ErrorKind::kInvalid);
  CHECK(store.error().message.find("mysql") != std::string::npos);
  CHECK(store.error().message.find("secret") == std::string::npos);
}

mode_t mode_of(const fs::path& path) {
  struct stat status{};
  REQUIRE(::lstat(path.c_str(), &status) == 0);
  return status.st_mode & 07777;
}

TEST_CASE_FIXTURE(StoreFixture,
                  "nobody else reads a metastore, or locks it, unless its owner lets them") {
  bool is_shared = false;
  SUBCASE("alone") {}
  SUBCASE("with a group") {
    is_shared = true;
    must(make_directories(directory()));
    fs::permissions(directory(), fs::owner_all | fs::group_read | fs::group_exe);
  }
  const mode_t usual = ::umask(is_shared ? 0077 : 0022);
  auto store = open();
  put(*store, found("x.csv", "one"));
  const auto agent = must(store->join());
  ::umask(usual);
  CHECK(mode_of(directory()) == (is_shared ? 0750 : 0700));
  CHECK(mode_of(file("agents")) == (is_shared ? 0750 : 0700));
  for (const char* name : {"file_registry.jsonl", "metastore.json", "pending", "index.sqlite",
                           "index.sqlite-wal", "index.sqlite-shm"}) {
    CAPTURE(name);
    CHECK(mode_of(file(name)) == (is_shared ? 0640 : 0600));
  }
  CHECK(mode_of(file("lock")) == 0600);
  CHECK(mode_of(file("agents/" + agent->name() + ".lock")) == 0600);
}

TEST_CASE_FIXTURE(StoreFixture, "a lock that others could hold is made the owner's own") {
  put(*open(), found("x.csv", "one"));
  fs::permissions(file("lock"), fs::owner_all | fs::group_read | fs::others_read);
  put(*open(), found("y.csv", "one"));
  CHECK(mode_of(file("lock")) == 0600);
}

TEST_CASE_FIXTURE(StoreFixture, "nothing in a metastore is reached through a link") {
  put(*open(), found("x.csv", "one"));
  must(make_directories(directory().parent_path() / "elsewhere"));
  const fs::path elsewhere = directory().parent_path() / "elsewhere";
  for (const char* name : {"file_registry.jsonl", "pending", "lock", "metastore.json", "agents"}) {
    CAPTURE(name);
    const fs::path kept = file(name).string() + ".kept";
    boost::system::error_code none;
    fs::rename(file(name), kept, none);
    fs::create_symlink(elsewhere / name, file(name));
    auto store = backend->open(options());
    if (store) {
      const auto joined = (*store)->join();
      const auto registered = (*store)->register_files({found("y.csv", "two")});
      CHECK_FALSE((joined && registered));
    }
    CHECK(fs::is_empty(elsewhere));
    fs::remove(file(name));
    fs::rename(kept, file(name), none);
  }
  CHECK(standings(*open()).at("x.csv") == std::vector<std::string>{"pending"});
}

TEST_CASE_FIXTURE(StoreFixture, "a FIFO in a table's place keeps nobody waiting") {
  put(*open(), found("x.csv", "one"));
  REQUIRE(::mkfifo(file("transfer_logs.jsonl").c_str(), 0600) == 0);
  CHECK(backend->open(options()).error().kind == ErrorKind::kDenied);
}

// The marker.

TEST_CASE_FIXTURE(StoreFixture, "the marker is there exactly while something is pending") {
  auto store = open();
  CHECK_FALSE(exists("pending"));
  const auto id = put(*store, found("x.csv", "one")).id;
  CHECK(exists("pending"));
  append(*store, row(id, kFailed, 3));
  CHECK_FALSE(exists("pending"));
  const auto second = put(*store, found("x.csv", "other")).id;
  CHECK(exists("pending"));
  append(*store, row(second, kSuccessful));
  CHECK_FALSE(exists("pending"));
}

TEST_CASE_FIXTURE(StoreFixture, "opening for writing puts the marker right") {
  const auto id = put(*open(), found("x.csv", "one")).id;
  fs::remove(file("pending"));
  look();
  CHECK_FALSE(exists("pending"));
  auto store = open();
  CHECK(exists("pending"));
  append(*store, row(id, kSuccessful));
  write("pending", "");
  open();
  CHECK_FALSE(exists("pending"));
}

TEST_CASE_FIXTURE(StoreFixture,
                  "an agent that leaves takes its lock along, one that is killed does not") {
  auto store = open();
  auto first = must(store->join());
  const std::string lock = "agents/" + first->name() + ".lock";
  CHECK(exists(lock));
  first.reset();
  CHECK_FALSE(exists(lock));
  const pid_t child = in_child([&] {
    auto own = backend->open(options());
    const auto agent = (*own)->join();
    ::raise(SIGKILL);
    return 0;
  });
  CHECK(exit_code(child) == 128 + SIGKILL);
  const auto agent = must(store->join());
  const auto left = std::distance(fs::directory_iterator(file("agents")), fs::directory_iterator());
  CHECK(left == 1);
}

}  // namespace
}  // namespace ferry::metastore
