#include "app/text.h"

#include <doctest/doctest.h>

namespace ferry::app {
namespace {

TEST_CASE("control characters of names never reach a terminal") {
  CHECK(escape_controls("a\x1b[31mb\n") == "a\\x1b[31mb\\x0a");
  CHECK(escape_controls("tab\there\x7f") == "tab\\x09here\\x7f");
  CHECK(escape_controls("C1 \xc2\x9b end") == "C1 \\x9b end");
}

TEST_CASE("other text stays as it is") {
  CHECK(escape_controls("Grüße aus 東京.csv") == "Grüße aus 東京.csv");
}

TEST_CASE("a misspelt word is suggested when something near is known") {
  constexpr std::string_view kKnown[] = {"transfer", "status", "watch"};
  CHECK(closest("transfre", kKnown) == "transfer");
  CHECK(closest("stauts", kKnown) == "status");
  CHECK_FALSE(closest("frobnicate", kKnown));
  CHECK(suggestion("wathc", kKnown) == "; did you mean 'watch'?");
  CHECK(suggestion("statsu", kKnown, "--") == "; did you mean '--status'?");
}

}  // namespace
}  // namespace ferry::app
