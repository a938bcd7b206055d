// The watcher with the metastore that it works with outside of tests.
#include <doctest/doctest.h>

#include <chrono>

#include "ferry/base/log.h"
#include "landing/watch_fixture.h"

using namespace ferry;
using namespace ferry::landing;
using namespace ferry::landing::test;

namespace {

struct StoreDirectory {
  TemporaryDirectory store_dir;

  std::unique_ptr<metastore::Metastore> open_store() {
    log::init(log::Level::kOff, log::Format::kText);
    auto store = metastore::open_metastore((store_dir / "store").string(), {});
    if (!store) throw std::runtime_error(store.error().message);
    return std::move(*store);
  }
};

struct Recording : StoreDirectory, WatchFixture {
  Recording() : WatchFixture(open_store()) {}

  /// COUNT files of 1 KiB in nested directories, 100 in each.
  std::map<std::string, int> burst(int count) {
    std::map<std::string, int> paths;
    std::string directory;
    for (int i = 0; i < count; ++i) {
      if (i % 100 == 0) {
        const int number = i / 100;
        directory = "d" + std::to_string(number / 20) + "/e" + std::to_string(number / 4) + "/f" +
                    std::to_string(number);
        fs::create_directories(at(directory));
      }
      const std::string path = directory + "/file-" + std::to_string(i);
      put(at(path), path + std::string(1024 - path.size(), '.'));
      paths[path] = 1;
    }
    return paths;
  }
};

}  // namespace

TEST_CASE_FIXTURE(Recording, "recorded: versions, the same bytes again, and a removal") {
  start();
  put(at("a"), "one");
  REQUIRE(registered("a"));
  put(at("a"), "two");
  REQUIRE(registered("a", 2));
  CHECK(versions("a").at(0).state == FileState::kSuperseded);
  fs::last_write_time(at("a"), 1'000'000);
  put(at("a"), "two");
  const auto rewritten = identity(at("a"));
  REQUIRE(store_.wait_until([&] { return versions("a").back().identity == rewritten; }));
  CHECK(versions("a").size() == 2);
  fs::remove(at("a"));
  CHECK(missing("a"));
}

TEST_CASE_FIXTURE(Recording, "recorded: a burst while watching registers each file exactly once") {
  start();
  const auto begin = std::chrono::steady_clock::now();
  const auto paths = burst(20'000);
  const auto written = std::chrono::steady_clock::now();
  REQUIRE(store_.wait_until([&] { return store_.registered_count() >= paths.size(); }));
  const std::chrono::duration<double> writing = written - begin;
  const std::chrono::duration<double> whole = std::chrono::steady_clock::now() - begin;
  MESSAGE("written in " << writing.count() << " s, all registered after " << whole.count() << " s");
  CHECK(everything() == paths);
}

TEST_CASE_FIXTURE(Recording,
                  "recorded: what is there at the start, and nothing more the next time") {
  const auto paths = burst(20'000);
  const auto begin = std::chrono::steady_clock::now();
  CHECK(once().registered == paths.size());
  const auto first = std::chrono::steady_clock::now();
  CHECK(once().registered == 0);
  const std::chrono::duration<double> fresh = first - begin;
  const std::chrono::duration<double> known = std::chrono::steady_clock::now() - first;
  MESSAGE("registered in " << fresh.count() << " s, known in " << known.count() << " s");
  CHECK(everything() == paths);
}
