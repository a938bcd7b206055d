// The watcher as a whole, with real inotify.
#include "ferry/landing/watch.h"
#include "ferry/landing/quarantine.h"

#include <doctest/doctest.h>

#include "ferry/base/log.h"
#include "landing/watch_fixture.h"

using namespace ferry;
using namespace ferry::landing;
using namespace ferry::landing::test;
using namespace std::chrono_literals;

namespace {

struct Quiet {
  Quiet() { log::init(log::Level::kOff, log::Format::kText); }
};

struct Watching : Quiet, WatchFixture {};

}  // namespace

TEST_CASE_FIXTURE(Watching, "a file that lands is registered with its identity and checksum") {
  start();
  put(at("a.csv"), "hello");
  REQUIRE(registered("a.csv"));
  const FileRecord file = versions("a.csv").at(0);
  CHECK(file.landing == "in");
  CHECK(file.source == metastore::FileSource::kWatch);
  CHECK(file.identity == identity(at("a.csv")));
  CHECK(file.checksum.to_string() == checksum_of("hello"));
}

TEST_CASE_FIXTURE(Watching, "what landed before the start is registered") {
  fs::create_directories(at("deep/er"));
  put(at("deep/er/a"), "x");
  start();
  CHECK(registered("deep/er/a"));
}

TEST_CASE_FIXTURE(Watching, "a file that is being written is not registered until it is closed") {
  start();
  OpenFile writer(at("slow"));
  writer.write("first half, ");
  REQUIRE(later_file_is_registered());
  CHECK(versions("slow").empty());
  writer.write("second half");
  REQUIRE(later_file_is_registered());
  CHECK(versions("slow").empty());
  writer.close();
  REQUIRE(registered("slow"));
  CHECK(versions("slow").at(0).checksum.to_string() == checksum_of("first half, second half"));
}

TEST_CASE_FIXTURE(Watching,
                  "a file that was being written at the start is registered when closed") {
  OpenFile writer(at("slow"));
  writer.write("x");
  start();
  REQUIRE(later_file_is_registered());
  CHECK(versions("slow").empty());
  writer.close();
  CHECK(registered("slow"));
}

TEST_CASE_FIXTURE(Watching, "a file that is renamed while it is open waits for its writer") {
  start();
  OpenFile writer(at("slow.part"));
  writer.write("x");
  fs::rename(at("slow.part"), at("slow"));
  REQUIRE(later_file_is_registered());
  CHECK(versions("slow").empty());
  writer.close();
  CHECK(registered("slow"));
}

TEST_CASE_FIXTURE(Watching, "a rename to the final name is a commit") {
  start();
  for (const char* unfinished : {"a.part", "b.tmp", "c.filepart", ".d"}) {
    put(at(unfinished), unfinished);
  }
  REQUIRE(later_file_is_registered());
  CHECK(everything().size() == 1);
  fs::rename(at("a.part"), at("a"));
  fs::rename(at(".d"), at("d"));
  CHECK(registered("a"));
  CHECK(registered("d"));
}

TEST_CASE_FIXTURE(Watching, "a hard link under the final name is a commit") {
  start();
  put(at("a.part"), "x");
  fs::create_hard_link(at("a.part"), at("a"));
  fs::remove(at("a.part"));
  CHECK(registered("a"));
}

TEST_CASE_FIXTURE(Watching, "files in directories that come in a burst are all found") {
  start();
  std::map<std::string, int> expected;
  for (int i = 0; i < 50; ++i) {
    std::string path = "burst-" + std::to_string(i);
    for (const char* level : {"a", "b", "c", "d"}) {
      fs::create_directories(at(path));
      put(at(path + "/file"), path);
      expected[path + "/file"] = 1;
      path += std::string("/") + level;
    }
  }
  REQUIRE(ready_files(expected.size()));
  CHECK(everything() == expected);
}

TEST_CASE_FIXTURE(Watching, "new content is a new version, and supersedes the old one") {
  start();
  put(at("a"), "one");
  REQUIRE(registered("a"));
  put(at("a"), "two");
  REQUIRE(registered("a", 2));
  CHECK(versions("a").at(0).state == FileState::kSuperseded);
}

TEST_CASE_FIXTURE(Watching, "the same bytes again are no new version") {
  start();
  put(at("a"), "one");
  REQUIRE(registered("a"));
  fs::last_write_time(at("a"), 1'000'000);
  put(at("a"), "one");
  const auto rewritten = identity(at("a"));
  REQUIRE(store_.wait_until([&] { return versions("a").at(0).identity == rewritten; }));
  CHECK(versions("a").size() == 1);
}

TEST_CASE_FIXTURE(Watching, "a deleted file becomes missing; when it comes back it is new") {
  start();
  put(at("a"), "x");
  REQUIRE(registered("a"));
  fs::remove(at("a"));
  REQUIRE(missing("a"));
  put(at("a"), "x");
  CHECK(registered("a", 2));
}

TEST_CASE_FIXTURE(Watching, "a file that is deleted at once is nothing to worry about") {
  start();
  for (int i = 0; i < 100; ++i) {
    put(at("flicker"), std::to_string(i));
    fs::remove(at("flicker"));
  }
  REQUIRE(later_file_is_registered());
  CHECK(stop()->failed == 0);
  CHECK(count() == 1);
}

TEST_CASE_FIXTURE(Watching, "a file that was deleted while nobody watched becomes missing") {
  put(at("a"), "x");
  put(at("b"), "x");
  once();
  options.once = false;
  fs::remove(at("a"));
  start();
  CHECK(missing("a"));
  CHECK(versions("b").at(0).state == FileState::kReady);
}

TEST_CASE_FIXTURE(Watching,
                  "a renamed file is missing under the old name and ready under the new") {
  start();
  put(at("a"), "x");
  REQUIRE(registered("a"));
  fs::rename(at("a"), at("b"));
  CHECK(registered("b"));
  CHECK(missing("a"));
}

TEST_CASE_FIXTURE(Watching, "a directory moved in is registered, moved out is missing") {
  start();
  fs::create_directories(dir / "outside/d/e");
  put(dir / "outside/d/e/a", "x");
  fs::rename(dir / "outside/d", at("d"));
  REQUIRE(registered("d/e/a"));
  fs::rename(at("d"), dir / "outside/d");
  CHECK(missing("d/e/a"));
}

TEST_CASE_FIXTURE(Watching, "a root that is moved away loses no file; made again, it is watched") {
  options.poll_interval = 20ms;
  start();
  put(at("a"), "x");
  REQUIRE(registered("a"));
  fs::rename(landing, dir / "moved");
  put(dir / "moved/b", "x");
  fs::rename(dir / "moved", landing);
  REQUIRE(registered("b"));
  REQUIRE(later_file_is_registered());
  CHECK(versions("a").at(0).state == FileState::kReady);
}

TEST_CASE_FIXTURE(Watching, "a root that is removed and made again is watched again") {
  options.poll_interval = 20ms;
  start();
  put(at("a"), "x");
  REQUIRE(registered("a"));
  fs::remove_all(landing);
  fs::create_directory(landing);
  put(at("b"), "x");
  CHECK(registered("b"));
  CHECK(missing("a"));
}

TEST_CASE_FIXTURE(Watching, "user globs are not registered") {
  options.areas[0].ignore = {"*.bak", "archive/*"};
  start();
  fs::create_directory(at("archive"));
  put(at("archive/old"), "x");
  put(at("a.bak"), "x");
  REQUIRE(later_file_is_registered());
  CHECK(everything().size() == 1);
}

TEST_CASE_FIXTURE(Watching, "links, FIFOs and names that cannot be written down are moved aside") {
  put(dir / "secret", "x");
  ::symlink((dir / "secret").c_str(), at("link").c_str());
  ::symlink(dir.path().c_str(), at("link-directory").c_str());
  ::mkfifo(at("fifo").c_str(), 0644);
  put(at("latin-\xE9"), "x");
  put(at("line\nbreak"), "x");
  start();
  ::mkfifo(at("fifo-2").c_str(), 0644);
  ::symlink((dir / "secret").c_str(), at("link-2").c_str());
  REQUIRE(later_file_is_registered());
  CHECK(everything().size() == 1);  // the later one
  const auto aside = [&] { return held_files(store_, options.areas)->size() == 7; };
  for (int i = 0; i < 1000 && !aside(); ++i) REQUIRE(later_file_is_registered());
  REQUIRE(aside());
  REQUIRE(stop());
  std::map<std::string, std::string> reasons;
  const auto all = held_files(store_, options.areas);
  for (const HeldFile& held : *all) {
    CHECK_FALSE(held.registered);
    reasons[held.path] = held.reason;
  }
  CHECK(reasons ==
        std::map<std::string, std::string>{{"link", "it is a symbolic link"},
                                           {"link-2", "it is a symbolic link"},
                                           {"link-directory", "it is a symbolic link"},
                                           {"fifo", "it is a FIFO"},
                                           {"fifo-2", "it is a FIFO"},
                                           {"latin-\xE9", "its name is not valid UTF-8"},
                                           {"line\nbreak", "control characters in its name"}});
}

TEST_CASE_FIXTURE(Watching, "what the policy refuses is registered and moved aside") {
  options.areas[0].acceptance.empty = EmptyFiles::kQuarantine;
  fs::create_directory(at("d"));
  put(at("d/empty"), "");
  put(at("good"), "x");
  const auto summary = once();
  CHECK(summary.registered == 1);
  CHECK(summary.quarantined == 1);
  CHECK_FALSE(fs::exists(at("d/empty")));
  const auto held = held_files(store_, options.areas).value();
  REQUIRE(held.size() == 1);
  CHECK(held[0].registered);
  CHECK(held[0].id == versions("d/empty").at(0).id);
  CHECK(held[0].reason == "it is empty");
  CHECK(held[0].location == landing / ".quarantine" / held[0].id / "empty");
  CHECK(fs::exists(held[0].location));
  CHECK(count(FileState::kQuarantined) == 1);
  CHECK(once().quarantined == 0);
}

TEST_CASE_FIXTURE(Watching, "a move that was cut short is finished by the next scan") {
  options.areas[0].acceptance.empty = EmptyFiles::kQuarantine;
  put(at("empty"), "");
  FileRecord row;
  row.path = "empty";
  row.landing = "in";
  row.identity = identity(at("empty"));
  row.state = FileState::kQuarantined;
  row.reason = "it is empty";
  REQUIRE(store_.register_files({row}));
  CHECK(once().quarantined == 1);
  CHECK_FALSE(fs::exists(at("empty")));
  CHECK(held_files(store_, options.areas)->at(0).reason == "it is empty");
}

TEST_CASE_FIXTURE(Watching, "a file that is too young for the policy is left for later") {
  options.areas[0].acceptance.min_age = std::chrono::hours(1);
  put(at("a"), "x");
  const auto summary = once();
  CHECK(summary.unsettled == 1);
  CHECK(summary.registered == 0);
}

TEST_CASE_FIXTURE(Watching, "several areas are watched at once") {
  fs::create_directory(dir / "second");
  options.areas.push_back({.name = "two", .path = dir / "second", .ignore = {}});
  start();
  put(at("a"), "x");
  put(dir / "second/b", "x");
  CHECK(registered("a"));
  REQUIRE(registered("b"));
  CHECK(versions("b").at(0).landing == "two");
}

TEST_CASE_FIXTURE(Watching, "an area that is not there is an error at the start") {
  options.areas[0].path = dir / "none";
  StopToken never;
  CHECK(watch(store_, options, {}, never).error().error.kind == ErrorKind::kNotFound);
}

TEST_CASE_FIXTURE(Watching, "an area given by a symbolic link is watched") {
  ::symlink(landing.c_str(), (dir / "link").c_str());
  options.areas[0].path = dir / "link";
  start();
  put(at("a"), "x");
  CHECK(registered("a"));
}

TEST_CASE_FIXTURE(Watching, "once: everything is registered, and the summary says how much") {
  fs::create_directory(at("d"));
  put(at("a"), "12345");
  put(at("d/b"), "123");
  const WatchSummary summary = once();
  CHECK(summary.registered == 2);
  CHECK(summary.bytes == 8);
  CHECK(once().registered == 0);
}

TEST_CASE_FIXTURE(Watching, "once: a file that stays open for writing is left and counted") {
  OpenFile writer(at("slow"));
  put(at("a"), "x");
  const WatchSummary summary = once();
  CHECK(summary.registered == 1);
  CHECK(summary.unsettled == 1);
}

TEST_CASE_FIXTURE(Watching, "once: an empty area is done at once") {
  CHECK(once().registered == 0);
}

TEST_CASE_FIXTURE(Watching, "signs of life come while nothing happens") {
  std::atomic<int> signs{0};
  WatchHooks hooks;
  hooks.alive_interval = 10ms;
  StopToken stop_token;
  hooks.on_alive = [&] {
    if (++signs == 5) stop_token.request_stop();
  };
  CHECK(watch(store_, options, hooks, stop_token));
  CHECK(signs >= 5);
}

namespace {

struct Failing : Quiet, WatchFixture {
  Failing() : Failing(new FakeMetastore) {}
  FakeMetastore& fake;

 private:
  explicit Failing(FakeMetastore* store)
      : WatchFixture(std::unique_ptr<metastore::Metastore>(store)), fake(*store) {}
};

}  // namespace

TEST_CASE_FIXTURE(Failing, "a metastore that is busy for a while loses nothing") {
  start();
  fake.fail(1, ErrorKind::kBusy);
  put(at("a"), "x");
  CHECK(registered("a"));
  CHECK(stop()->registered == 1);
}

TEST_CASE_FIXTURE(Failing, "a metastore that is damaged ends the watcher") {
  fake.fail(1, ErrorKind::kCorrupt);
  put(at("a"), "x");
  StopToken never;
  CHECK(watch(store_, options, {}, never).error().error.kind == ErrorKind::kCorrupt);
}

TEST_CASE_FIXTURE(Failing, "what a metastore refuses is its trouble, and not the landing area's") {
  for (const ErrorKind kind : {ErrorKind::kDenied, ErrorKind::kNotFound, ErrorKind::kFailed}) {
    CAPTURE(to_string(kind));
    fake.fail(1, kind);
    put(at(std::string(to_string(kind))), "x");
    options.once = true;
    StopToken never;
    const auto watched = watch(store_, options, {}, never);
    REQUIRE_FALSE(watched);
    CHECK(watched.error().origin == Origin::kMetastore);
    CHECK(watched.error().error.kind == kind);
  }
}

TEST_CASE_FIXTURE(Failing, "a metastore that does not answer for a while costs no file anything") {
  options.areas[0].acceptance.min_size = 2;
  start();
  for (const int skip : {0, 1}) {  // is it registered, and: was it accepted?
    CAPTURE(skip);
    const std::string name = fmt::format("a{}", skip);
    fake.fail_questions(2, ErrorKind::kBusy, skip);
    put(at(name), "x");
    CHECK(store_.wait_until([&] { return versions(name).size() == 1; }));
  }
  CHECK(stop()->failed == 0);
}

TEST_CASE_FIXTURE(Failing, "what a metastore does not answer is its trouble, and not a file's") {
  options.areas[0].acceptance.min_size = 2;
  put(at("a"), "x");
  for (const bool once : {true, false}) {
    for (const int skip : {0, 1}) {
      CAPTURE(once);
      CAPTURE(skip);
      options.once = once;
      fake.fail_questions(1'000, ErrorKind::kDenied, skip);
      StopToken never;
      const auto watched = watch(store_, options, {}, never);
      REQUIRE_FALSE(watched);
      CHECK(watched.error().origin == Origin::kMetastore);
      CHECK(watched.error().error.kind == ErrorKind::kDenied);
    }
  }
}

TEST_CASE_FIXTURE(Failing, "with once a busy metastore is an error at once") {
  fake.fail(1, ErrorKind::kBusy);
  put(at("a"), "x");
  options.once = true;
  StopToken never;
  CHECK(watch(store_, options, {}, never).error().error.kind == ErrorKind::kBusy);
}

TEST_CASE_FIXTURE(Failing, "nobody is told that we are alive while a thread hangs") {
  options.patience = 50ms;
  std::atomic<int> signs{0};
  WatchHooks hooks;
  hooks.on_alive = [&] { ++signs; };
  hooks.alive_interval = 10ms;
  StopToken end;
  ferry::Outcome<WatchSummary> ended;
  std::thread watcher([&] { ended = watch(store_, options, hooks, end); });
  const auto comes_true = [](const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + 60s;
    while (!condition() && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(10ms);
    }
    return condition();
  };
  const auto falls_silent = [&] {
    const int before = signs;
    std::this_thread::sleep_for(200ms);
    return signs == before;
  };
  CHECK(comes_true([&] { return signs > 3; }));
  fake.close_gate();
  put(at("a"), "x");
  CHECK(comes_true([&] { return fake.somebody_waits(); }));
  CHECK(comes_true(falls_silent));
  fake.open_gate();
  const int silent = signs;
  CHECK(comes_true([&] { return signs > silent; }));
  CHECK(registered("a"));
  end.request_stop();
  watcher.join();
  CHECK(ended);
}
