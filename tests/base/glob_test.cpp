#include "ferry/base/glob.h"

#include <doctest/doctest.h>

using namespace ferry;

namespace {

bool matches(const char* pattern, const char* path) {
  return Glob(pattern).matches(path);
}

bool both(const char* one, const char* other) {
  CHECK(overlap(Glob(one), Glob(other)) == overlap(Glob(other), Glob(one)));
  return overlap(Glob(one), Glob(other));
}

}  // namespace

TEST_CASE("a pattern fits the whole path or its last component") {
  CHECK(matches("*", "a/b"));
  CHECK(matches("*.csv", "a/b.csv"));
  CHECK(matches("b.csv", "a/b.csv"));
  CHECK(matches("a/*", "a/b.csv"));
  CHECK(matches("a/*", "a/b/c.csv"));
  CHECK(matches("[ab]?.csv", "x/a1.csv"));
  CHECK(matches("\\*.csv", "*.csv"));
  CHECK_FALSE(matches("\\*.csv", "a.csv"));
  CHECK_FALSE(matches("*.csv", "a/b.csv.gz"));
  CHECK_FALSE(matches("a", "a/b"));
  CHECK_FALSE(matches("b/*", "a/b"));
}

TEST_CASE("patterns overlap where some path matches both") {
  CHECK(both("*", "a"));
  CHECK(both("*.csv", "in/*"));
  CHECK(both("x.csv", "in/*"));
  CHECK(both("a*b", "*c*"));
  CHECK(both("[a-c]1", "[c-e]?"));
  CHECK(both("*.csv", "*.csv"));
  CHECK(both("[!a]", "b"));
  CHECK_FALSE(both("*.csv", "*.txt"));
  CHECK_FALSE(both("[a-c]1", "[d-f]1"));
  CHECK_FALSE(both("in/*", "out/*"));
  CHECK_FALSE(both("a.csv", "b.csv"));
  CHECK_FALSE(both("[!a]", "a"));
  CHECK_FALSE(both("\\*.csv", "a.csv"));
  CHECK_FALSE(both("???", "in/a"));
}
