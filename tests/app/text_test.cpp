#include "app/config/text.h"
#include <doctest/doctest.h>

namespace ferry::app {
namespace {

TEST_CASE("a misspelt word is suggested when something near is known") {
  constexpr std::string_view kKnown[] = {"transfer", "status", "watch"};
  CHECK(closest("transfre", kKnown) == "transfer");
  CHECK(closest("stauts", kKnown) == "status");
  CHECK_FALSE(closest("frobnicate", kKnown));
  CHECK(suggestion("wathc", kKnown) == "; did you mean 'watch'?");
  CHECK(suggestion("statsu", kKnown, "--") == "; did you mean '--status'?");
}

TEST_CASE("a bracket that nothing closes is found as fnmatch(3) reads it") {
  for (const char* open : {"[", "a[b", "[!", "[]", "[!]", "x[a-", "[a]["}) {
    CAPTURE(open);
    CHECK(has_open_bracket(open));
  }
  for (const char* closed : {"", "a", "[a]", "[]]", "[!]]", "\\[", "[a\\]]", "*.[ch]", "]"}) {
    CAPTURE(closed);
    CHECK_FALSE(has_open_bracket(closed));
  }
}

}  // namespace
}  // namespace ferry::app
