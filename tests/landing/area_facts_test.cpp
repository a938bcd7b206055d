#include "ferry/landing/area_facts.h"

#include <doctest/doctest.h>

#include <boost/filesystem/operations.hpp>

#include "temporary_directory.h"

using namespace ferry;

TEST_CASE("the directories of an area are counted as a watcher sees them") {
  testing::TemporaryDirectory area;
  CHECK(landing::count_directories(area.path()).value() == 1);
  for (const char* made : {"a/b/c", "a/.hidden/d", "e"}) REQUIRE(make_directories(area / made));
  fs::create_directory_symlink("/", area / "a" / "link");
  REQUIRE(replace_file(area / "file", "x"));
  CHECK(landing::count_directories(area.path()).value() == 5);
  CHECK(landing::count_directories(area / "none").error().kind == ErrorKind::kNotFound);
}
