#include "landing/watch/watch_tree.h"

#include <doctest/doctest.h>

#include <algorithm>

using namespace ferry::landing;

namespace {

std::vector<int> sorted(std::vector<int> watches) {
  std::ranges::sort(watches);
  return watches;
}

WatchTree sample() {
  WatchTree tree;
  tree.set(1, "");
  tree.set(2, "a");
  tree.set(3, "a/b");
  tree.set(4, "a-b");
  tree.set(5, "c");
  return tree;
}

}  // namespace

TEST_CASE("a watch leads to its directory") {
  const WatchTree tree = sample();
  CHECK(*tree.directory_of(3) == "a/b");
  CHECK(tree.directory_of(9) == nullptr);
  CHECK(tree.contains("c"));
  CHECK_FALSE(tree.contains("b"));
}

TEST_CASE("removing a directory removes what is below it, and no neighbour with a longer name") {
  WatchTree tree = sample();
  CHECK(sorted(tree.remove_below("a")) == std::vector{2, 3});
  CHECK(tree.contains("a-b"));
  CHECK(tree.directory_of(3) == nullptr);
  CHECK(tree.size() == 3);
}

TEST_CASE("removing the root removes everything") {
  WatchTree tree = sample();
  CHECK(sorted(tree.remove_below("")) == std::vector{1, 2, 3, 4, 5});
  CHECK(tree.size() == 0);
}

TEST_CASE("a directory that was renamed keeps its watch under the new name only") {
  WatchTree tree = sample();
  tree.set(2, "z");
  CHECK(*tree.directory_of(2) == "z");
  CHECK_FALSE(tree.contains("a"));
}

TEST_CASE("a directory that was re-created has the new watch only") {
  WatchTree tree = sample();
  tree.set(9, "a");
  CHECK(tree.directory_of(2) == nullptr);
  CHECK(*tree.directory_of(9) == "a");
  CHECK(tree.size() == 5);
}

TEST_CASE("what a rescan did not see is stale") {
  WatchTree tree = sample();
  tree.begin_generation();
  tree.set(1, "");
  tree.set(5, "c");
  CHECK(sorted(tree.remove_stale()) == std::vector{2, 3, 4});
  CHECK(tree.contains("c"));
}
