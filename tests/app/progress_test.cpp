#include "app/report/progress.h"

#include <doctest/doctest.h>

#include "temporary_directory.h"

#include <algorithm>
#include <string>
#include <vector>

namespace ferry::app {

TEST_CASE("without a terminal it is told every so often how far a run is") {
  ferry::testing::TemporaryDirectory dir;
  std::vector<std::string> events;
  log::init(log::Level::kInfo, log::Format::kText);
  log::set_writer([&](const log::Entry& entry) {
    events.emplace_back(entry.event);
    return true;
  });
  const auto run = [&](std::chrono::milliseconds interval) {
    events.clear();
    // Logs for programs: there is no bar, wherever the test runs.
    const auto observer = make_observers(log::Format::kJson, dir.path(), interval)("b");
    observer->on_start(2, 100);
    observer->on_bytes(10);
    observer->on_bytes(20);
    CHECK(observer->sent() == 30);
    return std::ranges::count(events, "progress");
  };
  CHECK(run(std::chrono::milliseconds(0)) == 2);
  CHECK(run(std::chrono::hours(1)) == 0);
  log::set_writer({});
  log::init(log::Level::kInfo, log::Format::kText);
}

}  // namespace ferry::app
