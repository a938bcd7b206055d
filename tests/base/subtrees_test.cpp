#include "ferry/base/subtrees.h"

#include <doctest/doctest.h>

using namespace ferry;

using Paths = std::vector<std::string>;

TEST_CASE("subtrees cover themselves and what is below, not their neighbours") {
  const Subtrees trees({"b", "a/x"});
  CHECK(trees.cover("b"));
  CHECK(trees.cover("b/deep/file"));
  CHECK(trees.cover("a/x/file"));
  CHECK_FALSE(trees.cover("a/file"));
  CHECK_FALSE(trees.cover("bb"));
  CHECK_FALSE(trees.cover(""));
  CHECK(Subtrees({""}).cover("anything/at/all"));
  CHECK_FALSE(Subtrees({}).cover(""));
}

TEST_CASE("of subtrees, each counts once, and none below another") {
  CHECK(Subtrees({"b", "a/x/y", "a!", "a/x", "b", "a/xy"}).tops() ==
        Paths{"a!", "a/x", "a/xy", "b"});
  CHECK(Subtrees({"b", "", "a"}).tops() == Paths{""});
}
