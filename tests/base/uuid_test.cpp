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

TEST_CASE("an id tells when it was made; other texts do not") {
  const auto before = now();
  const auto made = time_of_uuid(uuid_v7());
  REQUIRE(made);
  CHECK(*made >= before);
  CHECK(*made <= now() + std::chrono::seconds(1));
  CHECK(time_of_uuid("0199b0a2-7c00-7000-8000-000000000000").value().time_since_epoch().count() ==
        0x0199b0a27c00);
  CHECK_FALSE(time_of_uuid("0199b0a2-7c00-4000-8000-000000000000"));
  CHECK_FALSE(time_of_uuid("2026-03-01"));
}
