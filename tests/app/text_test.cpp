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

}  // namespace
}  // namespace ferry::app
