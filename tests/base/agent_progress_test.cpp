#include "ferry/base/agent_progress.h"

#include <doctest/doctest.h>

#include <fstream>

#include "temporary_directory.h"

using namespace ferry;
using ferry::testing::TemporaryDirectory;

TEST_CASE("who runs is seen while it lives") {
  TemporaryDirectory dir;
  const fs::path notes = dir / "agents";
  CHECK(read_agent_progress(notes)->empty());
  {
    auto note = ProgressNote::create(notes, "warehouse");
    REQUIRE(note);
    note->now_is().files = 2;
    note->now_is().bytes = 100;
    note->now_is().files_done = 2;
    note->now_is().bytes_done = 100;
    note->tell();
    const auto seen = read_agent_progress(notes);
    REQUIRE(seen->size() == 1);
    CHECK(seen->front().destination == "warehouse");
    CHECK(seen->front().bytes_done == 100);
    CHECK(seen->front().is_idle());
    CHECK_FALSE(seen->front().time_left());
  }
  CHECK(read_agent_progress(notes)->empty());
  CHECK(fs::is_empty(notes));
}

TEST_CASE("what a dead run left, and garbage, is not news") {
  TemporaryDirectory dir;
  std::ofstream((dir / "01981111-0000-7000-8000-000000000000.json").string())
      << R"({"process":"x-1","destination":"d"})";
  std::ofstream((dir / "garbage.json").string()) << "{";
  CHECK(read_agent_progress(dir.path())->empty());
}

TEST_CASE("what a dead run left goes with the next one, and nobody else's file does") {
  TemporaryDirectory dir;
  std::ofstream((dir / "01981111-0000-7000-8000-000000000000.json").string()) << "{}";
  std::ofstream((dir / "somebody's.json").string()) << "{}";
  auto living = ProgressNote::create(dir.path(), "a");
  REQUIRE(living);
  auto next = ProgressNote::create(dir.path(), "b");
  REQUIRE(next);
  CHECK(read_agent_progress(dir.path())->size() == 2);
  CHECK(std::distance(fs::directory_iterator(dir.path()), fs::directory_iterator()) == 3);
}

TEST_CASE("the time that is left follows from the rate") {
  AgentProgress progress{.files = 1, .bytes = 1000, .bytes_done = 400, .rate = 100};
  CHECK(progress.time_left() == std::chrono::seconds(6));
  progress.rate = 0;
  CHECK_FALSE(progress.time_left());
}
