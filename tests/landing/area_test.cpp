// The event loop's view of an area, one turn at a time, without threads.
#include "landing/watch/area.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "landing/files.h"

using namespace ferry;
using namespace ferry::landing;
using namespace ferry::landing::test;
using namespace std::chrono_literals;

namespace {

using Paths = std::vector<std::string>;

struct Turns {
  TemporaryDirectory dir;
  std::unique_ptr<AreaWatcher> area;
  TimePoint now = TimePoint() + 1h;

  void open(AreaTiming timing = {.rescan_interval = 5min, .poll_interval = 10s}) {
    LandingArea where{.name = "in", .path = dir.path(), .ignore = {}};
    area = *AreaWatcher::open(where, timing, now);
  }
  /// Paths to look at; each look ends with nothing to do.
  Paths offered() {
    run();
    Paths paths;
    for (const DuePath& item : area->take(now)) {
      paths.push_back(item.path);
      area->inspected(item.path, {.outcome = Inspection::Outcome::kKnown}, now);
    }
    std::ranges::sort(paths);
    return paths;
  }
  /// A few turns of the loop.
  void run() {
    for (int i = 0; i < 20; ++i) {
      area->read_events(now);
      area->advance(now);
    }
  }
  Paths sweep() {
    run();
    Paths directories = area->take_sweep(now);
    if (!directories.empty()) area->sweep_done();
    return directories;
  }
  void overflow() { area->handle({.kind = EventKind::kOverflow, .watch = -1}, now); }
};

}  // namespace

TEST_CASE_FIXTURE(Turns, "the start offers what is there and sweeps for what is not") {
  fs::create_directories(dir / "a/b");
  put(dir / "x", "");
  put(dir / "a/b/y", "");
  open();
  CHECK(offered() == Paths{"a/b/y", "x"});
  CHECK(area->armed());
  CHECK(sweep() == Paths{""});
}

TEST_CASE_FIXTURE(Turns, "hidden directories are neither scanned nor watched") {
  fs::create_directories(dir / ".store");
  put(dir / ".store/x", "");
  open();
  CHECK(offered().empty());
  put(dir / ".store/y", "");
  CHECK(offered().empty());
}

TEST_CASE_FIXTURE(Turns, "an overflow rescans everything") {
  open();
  put(dir / "x", "");
  CHECK(offered() == Paths{"x"});
  CHECK(sweep() == Paths{""});
  overflow();
  CHECK(offered() == Paths{"x"});
  CHECK(sweep() == Paths{""});
}

TEST_CASE_FIXTURE(Turns, "an overflow during a rescan leads to another one") {
  put(dir / "x", "");
  open();
  overflow();
  CHECK(offered() == Paths{"x"});
  now += 1ms;
  CHECK(sweep() == Paths{""});
  CHECK(area->idle());
}

TEST_CASE_FIXTURE(Turns, "the timer rescans") {
  put(dir / "x", "");
  open();
  offered();
  now += 5min - 1s;
  CHECK(offered().empty());
  now += 1s;
  CHECK(offered() == Paths{"x"});
}

TEST_CASE_FIXTURE(Turns, "a created file is looked at after a moment, a closed one at once") {
  open();
  offered();
  OpenFile writer(dir / "x");
  CHECK(offered().empty());
  writer.close();
  CHECK(offered() == Paths{"x"});
  fs::create_hard_link(dir / "x", dir / "linked");
  CHECK(offered().empty());
  now += 100ms;
  CHECK(offered() == Paths{"linked"});
}

TEST_CASE_FIXTURE(Turns,
                  "a directory that is moved away is swept, and its events are no longer ours") {
  fs::create_directories(dir / "area/a/b");
  TemporaryDirectory elsewhere;
  open();
  offered();
  sweep();
  fs::rename(dir / "area/a", elsewhere / "a");
  run();
  now += 100ms;
  CHECK(sweep() == Paths{"area/a"});
  put(elsewhere / "a/b/x", "");
  CHECK(offered().empty());
}

TEST_CASE_FIXTURE(Turns, "a directory that is renamed is watched under its new name") {
  fs::create_directories(dir / "old/deep");
  put(dir / "old/deep/x", "");
  open();
  offered();
  fs::rename(dir / "old", dir / "new");
  CHECK(offered() == Paths{"new/deep/x"});
  put(dir / "new/deep/y", "");
  CHECK(offered() == Paths{"new/deep/y"});
}

TEST_CASE_FIXTURE(Turns, "a directory that is deleted and made again is watched again") {
  fs::create_directory(dir / "a");
  open();
  offered();
  fs::remove(dir / "a");
  fs::create_directory(dir / "a");
  offered();
  put(dir / "a/x", "");
  CHECK(offered() == Paths{"a/x"});
}

TEST_CASE_FIXTURE(Turns, "a removed tree is swept once, after a moment") {
  fs::create_directories(dir / "a/b/c");
  open();
  offered();
  sweep();
  fs::remove_all(dir / "a");
  CHECK(sweep().empty());
  now += 100ms;
  CHECK(sweep() == Paths{"a"});
}

TEST_CASE_FIXTURE(Turns, "a file that never settles is given up with --once, and counted") {
  put(dir / "x", "");
  open({.rescan_interval = 5min, .poll_interval = 10s, .once = true});
  Inspection busy{.outcome = Inspection::Outcome::kUnsettled};
  const TimePoint begin = now;
  run();
  sweep();
  while (!area->idle() && now < begin + 10s) {
    for (const DuePath& item : area->take(now)) area->inspected(item.path, busy, now);
    now += 100ms;
  }
  CHECK(area->idle());
  CHECK(area->unsettled() == 1);
  CHECK(now >= begin + 2s);
}

TEST_CASE_FIXTURE(Turns, "a file that never settles is never given up while watching") {
  put(dir / "x", "");
  open();
  run();
  Inspection busy{.outcome = Inspection::Outcome::kUnsettled};
  int looks = 0;
  for (const TimePoint end = now + 60s; now < end; now += 100ms) {
    for (const DuePath& item : area->take(now)) {
      area->inspected(item.path, busy, now);
      ++looks;
    }
  }
  CHECK(looks > 30);
  CHECK(area->unsettled() == 0);
}

TEST_CASE_FIXTURE(Turns, "an unreadable file is counted once however often it is tried") {
  put(dir / "x", "");
  open();
  for (int i = 0; i < 3; ++i) {
    run();
    for (const DuePath& item : area->take(now)) {
      Inspection failed{.outcome = Inspection::Outcome::kUnreadable};
      failed.reason = "open x: Permission denied";
      area->inspected(item.path, failed, now);
    }
    overflow();
  }
  CHECK(area->failed() == 1);
}
