#include "ferry/base/intent_log.h"

#include <doctest/doctest.h>

#include <atomic>
#include <boost/filesystem/directory.hpp>
#include <boost/filesystem/operations.hpp>
#include <thread>

#include "temporary_directory.h"

using namespace ferry;

namespace {

struct Seen {
  fs::path path;
  std::string text;
};

std::vector<Seen> orphans_of(const fs::path& directory) {
  std::vector<Seen> seen;
  const auto visited = IntentLog::visit_orphans(directory, [&](const auto& orphan) -> Result<void> {
    seen.push_back({orphan.path, orphan.text});
    return {};
  });
  CHECK(visited);
  return seen;
}

}  // namespace

TEST_CASE("what a process that died was about to do is found, by one at a time") {
  testing::TemporaryDirectory folder;
  const fs::path directory = folder / "intents";
  CHECK(orphans_of(directory).empty());
  {
    auto log = IntentLog::create(directory, "first");
    REQUIRE(log);
    REQUIRE(log->append("second"));
    INFO("its process lives");
    CHECK(orphans_of(directory).empty());
  }
  int found = 0;
  REQUIRE(IntentLog::visit_orphans(directory, [&](const auto& orphan) -> Result<void> {
    ++found;
    CHECK(orphan.text == "first\nsecond\n");
    INFO("somebody has it");
    CHECK(orphans_of(directory).empty());
    return {};
  }));
  CHECK(found == 1);
}

TEST_CASE("of one that died before its first line there is nothing to be done") {
  testing::TemporaryDirectory folder;
  REQUIRE(replace_file(folder / "0198.jsonl", ""));
  const auto orphans = orphans_of(folder.path());
  REQUIRE(orphans.size() == 1);
  CHECK(orphans.front().text.empty());
}

TEST_CASE("many begin while somebody looks for orphans, and none loses its file") {
  testing::TemporaryDirectory folder;
  std::atomic<bool> done = false;
  std::thread finder([&] {
    while (!done) {
      CHECK(IntentLog::visit_orphans(folder.path(), [](const auto& orphan) -> Result<void> {
        CHECK(orphan.text.empty());
        fs::remove(orphan.path);
        return {};
      }));
    }
  });
  for (int i = 0; i < 300; ++i) {
    auto log = IntentLog::create(folder.path(), "first");
    REQUIRE(log);
    std::size_t files = 0;
    for ([[maybe_unused]] const auto& entry : fs::directory_iterator(folder.path())) ++files;
    CHECK(files == 1);
    log->remove();
  }
  done = true;
  finder.join();
}

TEST_CASE("what is done leaves nothing") {
  testing::TemporaryDirectory folder;
  auto log = IntentLog::create(folder.path(), "first");
  REQUIRE(log);
  log->remove();
  CHECK(fs::is_empty(folder.path()));
}

TEST_CASE("a directory that cannot be read is not an empty one") {
  testing::TemporaryDirectory folder;
  REQUIRE(replace_file(folder / "file", "x"));
  CHECK_FALSE(
      IntentLog::visit_orphans(folder / "file", [](const auto&) { return Result<void>(); }));
}
