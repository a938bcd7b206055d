#include "ferry/landing/quarantine.h"

#include <doctest/doctest.h>

#include <boost/filesystem/operations.hpp>
#include <thread>

#include "landing/fake_metastore.h"
#include "landing/files.h"
#include "landing/quarantine/quarantine_folder.h"
#include "landing/quarantine/quarantine_note.h"

using namespace ferry;
using namespace ferry::landing;
using namespace ferry::landing::test;
using metastore::FileRecord;
using metastore::FileState;

namespace {

struct Quarantining {
  TemporaryDirectory dir;
  FakeMetastore store;
  StopToken stop;
  LandingArea area{.name = "in", .path = dir / "landing", .ignore = {}};

  Quarantining() { fs::create_directory(area.path); }

  fs::path at(const std::string& path) const { return area.path / path; }

  FileRecord registered(const std::string& path, std::string_view content) {
    fs::create_directories(at(path).parent_path());
    put(at(path), content);
    FileRecord record;
    record.path = path;
    record.landing = "in";
    record.identity = identity(at(path));
    record.id = store.register_files({record})->at(0).id;
    return record;
  }
  std::vector<HeldFile> held() { return held_files(store, std::span(&area, 1)).value(); }
  FileState state_of(const std::string& id) {
    FileState state = FileState::kReady;
    (void)store.visit({}, [&](const FileRecord& file, auto) {
      if (file.id == id) state = file.state;
    });
    return state;
  }
};

}  // namespace

TEST_CASE_FIXTURE(Quarantining, "a file is moved aside with a note, and put back") {
  const FileRecord file = registered("a/b.csv", "content");
  REQUIRE(quarantine(store, area, file, "it is wrong").value());
  CHECK_FALSE(fs::exists(at("a/b.csv")));
  CHECK(state_of(file.id) == FileState::kQuarantined);
  const auto all = held();
  REQUIRE(all.size() == 1);
  CHECK(all[0].path == "a/b.csv");
  CHECK(all[0].size == 7);
  CHECK(read_file(all[0].location).value() == "content");
  const auto note = parse_note(read_file(at(".quarantine/" + file.id + ".json")).value());
  CHECK(note->reason == "it is wrong");

  fs::remove(at("a"));
  const auto released = release(store, area, all[0], "a/b.csv", stop);
  REQUIRE(released);
  CHECK(released->id != file.id);
  CHECK(released->reason == "released from quarantine: it is wrong");
  CHECK(released->updated_date == store.find(std::span(&released->id, 1))->at(0)->updated_date);
  CHECK(released->updated_date > Timestamp());
  CHECK(released->identity == identity(at("a/b.csv")));
  CHECK(read_file(at("a/b.csv")).value() == "content");
  CHECK(state_of(file.id) == FileState::kSuperseded);
  CHECK(held().empty());
  CHECK(fs::is_empty(at(".quarantine")));
}

TEST_CASE_FIXTURE(Quarantining, "a file that changed, or is gone, is left to the watcher") {
  const FileRecord changed = registered("changed", "one");
  put(at("changed"), "other");
  CHECK_FALSE(quarantine(store, area, changed, "no").value());
  const FileRecord gone = registered("gone", "one");
  fs::remove(at("gone"));
  CHECK_FALSE(quarantine(store, area, gone, "no").value());
  CHECK(state_of(changed.id) == FileState::kReady);
  FileRecord unknown = registered("unknown", "one");
  unknown.identity.reset();
  CHECK_FALSE(quarantine(store, area, unknown, "no").value());
  CHECK(held().empty());
}

TEST_CASE_FIXTURE(Quarantining, "a file with another mode is the same to who moves what is held") {
  const FileRecord file = registered("a", "one");
  FileRecord before = file;
  --before.identity->ctime_ns;
  CHECK_FALSE(quarantine(store, area, before, "no").value());
  auto folder = QuarantineFolder::make(area).value();
  HeldFile held;
  held.id = file.id;
  held.path = "a";
  FileIdentity written = *before.identity;
  --written.mtime_ns;
  CHECK(folder.take(held, written).error().kind == ErrorKind::kBusy);
  REQUIRE(folder.take(held, before.identity));
  CHECK_FALSE(fs::exists(at("a")));
}

TEST_CASE_FIXTURE(Quarantining, "what cannot be moved is dropped only if it is what was held") {
  const FileRecord file = registered("a", "x");
  REQUIRE(store.change_states(std::vector<metastore::StateChange>{
      {.id = file.id, .state = FileState::kQuarantined, .reason = "no"}}));
  const HeldFile in_place = held().at(0);
  CHECK(in_place.location == at("a"));
  SUBCASE("replaced since it was listed") {
    put(at("a"), "another");
    REQUIRE(drop(store, area, in_place, stop));
    CHECK(read_file(at("a")).value() == "another");
  }
  SUBCASE("replaced before") {
    put(at("a"), "another");
    const HeldFile replaced = held().at(0);
    CHECK(replaced.replaced);
    CHECK(replaced.location.empty());
    CHECK(release(store, area, replaced, "a", stop).error().error.kind == ErrorKind::kBusy);
    REQUIRE(drop(store, area, replaced, stop));
    CHECK(read_file(at("a")).value() == "another");
  }
  SUBCASE("let in since, with another mode") {
    FileRecord newer = file;
    ++newer.identity->ctime_ns;
    newer.checksum = *Checksum::parse("sha256:" + std::string(64, '1'));
    const std::string id = store.register_files({newer})->at(0).id;
    REQUIRE(id != file.id);
    REQUIRE(drop(store, area, in_place, stop));
    CHECK(read_file(at("a")).value() == "x");
    CHECK(state_of(id) == FileState::kReady);
  }
  CHECK(state_of(file.id) == FileState::kMissing);

  const FileRecord other = registered("b", "x");
  REQUIRE(store.change_states(std::vector<metastore::StateChange>{
      {.id = other.id, .state = FileState::kQuarantined, .reason = "no"}}));
  REQUIRE(drop(store, area, held().at(0), stop));
  CHECK_FALSE(fs::exists(at("b")));
  CHECK(state_of(other.id) == FileState::kMissing);
}

TEST_CASE_FIXTURE(Quarantining,
                  "what was never moved keeps its id, and replaces no newer version") {
  const FileRecord file = registered("a", "x");
  REQUIRE(store.change_states(std::vector<metastore::StateChange>{
      {.id = file.id, .state = FileState::kQuarantined, .reason = "no"}}));
  const HeldFile in_place = held().at(0);
  SUBCASE("alone") {
    CHECK(release(store, area, in_place, "a", stop)->id == file.id);
    CHECK(state_of(file.id) == FileState::kReady);
    CHECK(release(store, area, in_place, "a", stop).error().error.kind == ErrorKind::kFailed);
  }
  SUBCASE("a newer version is registered") {
    FileRecord newer = file;
    newer.identity->size = 2;
    const std::string id = store.register_files({newer})->at(0).id;
    CHECK(release(store, area, in_place, "a", stop).error().error.kind == ErrorKind::kFailed);
    CHECK(state_of(file.id) == FileState::kQuarantined);
    CHECK(state_of(id) == FileState::kReady);
  }
  SUBCASE("another file is there") {
    put(at("a"), "another");
    CHECK(release(store, area, in_place, "a", stop).error().error.kind == ErrorKind::kBusy);
    CHECK(state_of(file.id) == FileState::kQuarantined);
  }
}

TEST_CASE_FIXTURE(Quarantining, "what is out of sight is not dropped") {
  const FileRecord file = registered("a", "x");
  REQUIRE(quarantine(store, area, file, "no"));
  const HeldFile seen = held().at(0);
  fs::rename(at(".quarantine"), dir / "kept");
  SUBCASE("already when it was listed") {
    const HeldFile unseen = held().at(0);
    CHECK(unseen.out_of_sight);
    CHECK(drop(store, area, unseen, stop).error().error.kind == ErrorKind::kIo);
    fs::rename(dir / "kept", at(".quarantine"));
    REQUIRE(drop(store, area, unseen, stop));
    CHECK_FALSE(fs::exists(seen.location));
  }
  SUBCASE("only then") {
    CHECK(drop(store, area, seen, stop).error().error.kind == ErrorKind::kIo);
    CHECK(state_of(file.id) == FileState::kQuarantined);
  }
  SUBCASE("with the area") {
    fs::rename(area.path, dir / "away");
    CHECK_FALSE(drop(store, area, seen, stop));
    CHECK(state_of(file.id) == FileState::kQuarantined);
  }
}

TEST_CASE_FIXTURE(Quarantining, "a released file never takes another's place") {
  const FileRecord file = registered("a", "old");
  REQUIRE(quarantine(store, area, file, "no"));
  put(at("a"), "new");
  const HeldFile aside = held().at(0);
  CHECK(release(store, area, aside, "a", stop).error().error.kind == ErrorKind::kInvalid);
  CHECK(read_file(at("a")).value() == "new");
  REQUIRE(release(store, area, aside, "deep/er/b", stop));
  CHECK(read_file(at("deep/er/b")).value() == "old");
}

TEST_CASE_FIXTURE(Quarantining, "a released file is registered when it is back, and not before") {
  const FileRecord file = registered("a", "x");
  REQUIRE(quarantine(store, area, file, "no"));
  const HeldFile aside = held().at(0);
  store.close_gate();
  std::optional<Outcome<FileRecord>> released;
  std::thread releasing([&] { released = release(store, area, aside, "a", stop); });
  const bool registers = store.somebody_waits();
  const auto content = read_file(at("a"));
  store.open_gate();
  releasing.join();
  REQUIRE(registers);
  CHECK(content.value() == "x");
  CHECK(released->has_value());
}

TEST_CASE_FIXTURE(Quarantining,
                  "what of a release a crash left is completed, once it is registered") {
  const FileRecord file = registered("a", "x");
  REQUIRE(quarantine(store, area, file, "no"));
  const HeldFile aside = held().at(0);
  auto folder = QuarantineFolder::make(area).value();
  const FileIdentity before = identity(aside.location);
  REQUIRE(folder.mark(before, {.id = file.id, .path = "a", .reason = "released"}));
  REQUIRE(finish_releases(store, area));
  CHECK(folder.find_mark(before).value());
  REQUIRE(folder.put_back(aside, "a"));
  const FileIdentity there = identity(at("a"));
  CHECK(folder.find_mark(there).value()->reason == "released");

  REQUIRE(finish_releases(store, area));
  CHECK(state_of(file.id) == FileState::kQuarantined);
  FileRecord anew = file;
  anew.identity = there;
  REQUIRE(store.register_files({anew}));
  REQUIRE(finish_releases(store, area));
  CHECK(state_of(file.id) == FileState::kSuperseded);
  CHECK(fs::is_empty(at(".quarantine")));
}

TEST_CASE_FIXTURE(Quarantining, "a release that is done again completes what a crash left of it") {
  const FileRecord file = registered("a", "x");
  REQUIRE(quarantine(store, area, file, "no"));
  auto folder = QuarantineFolder::make(area).value();
  SUBCASE("before the move") {}
  SUBCASE("after it") {
    REQUIRE(folder.put_back(held().at(0), "a"));
  }
  REQUIRE(folder.mark(identity(held().at(0).location), {.id = file.id, .path = "a"}));
  const auto released = release(store, area, held().at(0), "a", stop);
  REQUIRE(released);
  CHECK(released->id != file.id);
  CHECK(held().empty());
  CHECK(read_file(at("a")).value() == "x");
  CHECK(fs::is_empty(at(".quarantine")));
}

TEST_CASE_FIXTURE(Quarantining, "a mark goes with what is dropped, and where a name is taken") {
  const FileRecord file = registered("a", "x");
  REQUIRE(quarantine(store, area, file, "no"));
  auto folder = QuarantineFolder::make(area).value();
  SUBCASE("dropped") {
    REQUIRE(folder.mark(identity(held().at(0).location), {.id = file.id, .path = "a"}));
    REQUIRE(drop(store, area, held().at(0), stop));
    CHECK(fs::is_empty(at(".quarantine")));
  }
  SUBCASE("taken") {
    put(at("a"), "new");
    CHECK_FALSE(release(store, area, held().at(0), "a", stop));
    CHECK(folder.marks()->empty());
  }
}

TEST_CASE_FIXTURE(Quarantining, "what no file can be is not released") {
  const FileRecord file = registered("a", "x");
  REQUIRE(quarantine(store, area, file, "no"));
  const HeldFile aside = held().at(0);
  for (const char* path : {"../a", "/a", ".a", "a.tmp", "x\ny", "d/", "."}) {
    CAPTURE(path);
    CHECK_FALSE(release(store, area, aside, path, stop));
  }
  CHECK(held().size() == 1);

  ::symlink("/etc/passwd", at("link").c_str());
  auto folder = QuarantineFolder::make(area).value();
  REQUIRE(folder.take({.id = "link-1", .path = "link", .reason = "it is a symbolic link"}, {}));
  CHECK(held().at(1).kind == "symbolic link");
  CHECK(release(store, area, held().at(1), "b", stop).error().error.kind == ErrorKind::kAbnormal);
}

TEST_CASE_FIXTURE(Quarantining, "what is dropped is gone, and its row says so") {
  const FileRecord file = registered("a", "x");
  REQUIRE(quarantine(store, area, file, "no"));
  REQUIRE(drop(store, area, held().at(0), stop));
  CHECK(held().empty());
  CHECK(state_of(file.id) == FileState::kMissing);
  CHECK(fs::is_empty(at(".quarantine")));
}

TEST_CASE_FIXTURE(Quarantining, "a file that took the place of another is not moved") {
  put(at("a"), "one");
  const FileIdentity old = identity(at("a"));
  fs::rename(at("a"), at("b"));
  put(at("a"), "two");
  auto folder = QuarantineFolder::make(area).value();
  CHECK(folder.take({.id = "1", .path = "a"}, old).error().kind == ErrorKind::kBusy);
  CHECK(folder.take({.id = "1", .path = "none"}, {}).error().kind == ErrorKind::kNotFound);
  CHECK(fs::exists(at("a")));
  CHECK(folder.list()->empty());
}

TEST_CASE_FIXTURE(Quarantining, "neither a link on the way nor a linked quarantine is followed") {
  const fs::path outside = dir / "outside";
  fs::create_directory(outside);
  put(outside / "secret", "x");
  ::symlink(outside.c_str(), at("link").c_str());
  auto folder = QuarantineFolder::make(area).value();
  CHECK(folder.take({.id = "1", .path = "link/secret"}, {}).error().kind == ErrorKind::kAbnormal);
  CHECK(fs::exists(outside / "secret"));

  fs::remove(at(".quarantine"));
  ::symlink(outside.c_str(), at(".quarantine").c_str());
  CHECK_FALSE(QuarantineFolder::make(area));
}

TEST_CASE_FIXTURE(Quarantining, "a quarantine of one's own is used") {
  area.quarantine = dir / "elsewhere/held";
  const FileRecord file = registered("a", "x");
  REQUIRE(quarantine(store, area, file, "no"));
  CHECK(fs::exists(dir / "elsewhere/held" / file.id / "a"));
  CHECK(held().at(0).location == dir / "elsewhere/held" / file.id / "a");
}

TEST_CASE("a note tells of any name, and damaged ones are none") {
  HeldFile file{.id = "1", .landing = "in", .path = "d/caf\xE9\n", .reason = "odd", .kind = "file"};
  file.size = 12;
  file.registered = true;
  const auto read = parse_note(to_note(file));
  REQUIRE(read);
  CHECK(read->path == file.path);
  CHECK(read->size == 12);
  CHECK(read->registered);
  CHECK(to_note(file).find(R"("path": "d/caf\\xe9\\x0a")") != std::string::npos);
  for (const char* text : {"", "[]", "{", R"({"path_bytes": "zz"})"}) CHECK_FALSE(parse_note(text));
}
