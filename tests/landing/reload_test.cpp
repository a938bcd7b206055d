// A watcher whose areas change between two runs.
#include <doctest/doctest.h>
#include <poll.h>

#include "ferry/base/log.h"
#include "landing/watch_fixture.h"

using namespace ferry;
using namespace ferry::landing;
using namespace ferry::landing::test;

namespace {

struct Reloading : WatchFixture {
  Reloading() {
    log::init(log::Level::kOff, log::Format::kText);
    fs::create_directory(second);
    auto opened = open_watcher(options);
    REQUIRE(opened);
    watcher = std::move(*opened);
  }

  LandingArea second_area() const { return {.name = "second", .path = second, .ignore = {}}; }

  /// Runs until CONDITION comes true.
  bool run_until(const std::function<bool()>& condition) {
    StopToken stop;
    bool came = false;
    std::thread waiter([&] {
      came = store_.wait_until(condition);
      stop.request_stop();
    });
    const auto ran = watcher->run(store_, {}, stop, never);
    waiter.join();
    return came && ran;
  }

  bool run_until_registered(const std::string& path) {
    return run_until([&] { return !versions(path).empty(); });
  }

  fs::path second = dir / "second";
  ReloadRequest never;
  std::unique_ptr<Watcher> watcher;
};

}  // namespace

TEST_CASE_FIXTURE(Reloading, "a reload ends a run and waits to be taken") {
  ReloadRequest reload;
  StopToken stop;
  reload.request();
  REQUIRE(watcher->run(store_, {}, stop, reload));
  CHECK(reload.take());
}

TEST_CASE_FIXTURE(Reloading, "what lands between two runs is registered in the next") {
  REQUIRE(run_until([] { return true; }));
  put(at("between"), "x");
  CHECK(run_until_registered("between"));
}

TEST_CASE_FIXTURE(Reloading, "a new area is watched, with what it has; the others go on") {
  put(at("old"), "x");
  REQUIRE(run_until_registered("old"));
  put(second / "already there", "y");
  options.areas.push_back(second_area());
  REQUIRE(watcher->change(options));
  put(at("new in old area"), "z");
  CHECK(run_until_registered("already there"));
  CHECK(run_until_registered("new in old area"));
  CHECK(versions("already there").at(0).landing == "second");
  CHECK(versions("old").size() == 1);
}

TEST_CASE_FIXTURE(Reloading, "an area that is gone from the options is left alone") {
  options.areas.push_back(second_area());
  REQUIRE(watcher->change(options));
  options.areas.erase(options.areas.begin());
  REQUIRE(watcher->change(options));
  put(at("unwatched"), "x");
  put(second / "watched", "x");
  CHECK(run_until_registered("watched"));
  CHECK(versions("unwatched").empty());
}

TEST_CASE_FIXTURE(Reloading, "an area follows its new rules") {
  put(at("a.csv"), "x");
  put(at("a.bak"), "x");
  options.areas.at(0).ignore = {"*.csv"};
  REQUIRE(watcher->change(options));
  CHECK(run_until_registered("a.bak"));
  CHECK(versions("a.csv").empty());
}

TEST_CASE_FIXTURE(Reloading, "an area that cannot be watched changes nothing") {
  WatchOptions changed = options;
  changed.areas.push_back({.name = "gone", .path = dir / "gone", .ignore = {}});
  const auto refused = watcher->change(changed);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind == ErrorKind::kNotFound);
  put(at("still"), "x");
  CHECK(run_until_registered("still"));
}
