#include "ferry/base/uuid.h"

#include <doctest/doctest.h>

#include <regex>
#include <set>

using namespace ferry;

TEST_CASE("ids have the form of version 7, sort by time, and are never the same") {
  const std::regex form("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}");
  std::string last;
  for (int i = 0; i < 20'000; ++i) {
    const std::string id = uuid_v7();
    REQUIRE(std::regex_match(id, form));
    REQUIRE(last < id);
    last = id;
  }
}
