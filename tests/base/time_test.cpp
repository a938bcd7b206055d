#include "ferry/base/time.h"

#include <doctest/doctest.h>

using namespace ferry;

namespace {

std::string normalised(std::string_view text) {
  const auto time = parse_timestamp(text);
  return time ? format_timestamp(*time) : time.error().message;
}

}  // namespace

TEST_CASE("times are read in every form of RFC 3339 and written in one") {
  CHECK(normalised("2026-11-22T13:40:00.123Z") == "2026-11-22T13:40:00.123Z");
  CHECK(normalised("2026-11-22T13:40:00Z") == "2026-11-22T13:40:00.000Z");
  CHECK(normalised("2026-11-22t13:40:00.1z") == "2026-11-22T13:40:00.100Z");
  CHECK(normalised("2026-11-22 13:40:00.123456789Z") == "2026-11-22T13:40:00.123Z");
  CHECK(normalised("2026-11-22T13:40:00+05:30") == "2026-11-22T08:10:00.000Z");
  CHECK(normalised("2026-11-22T00:00:00-00:30") == "2026-11-22T00:30:00.000Z");
  CHECK(normalised("1969-12-31T23:59:59.500Z") == "1969-12-31T23:59:59.500Z");
}

TEST_CASE("a bare date is its midnight in UTC") {
  CHECK(normalised("2026-11-22") == "2026-11-22T00:00:00.000Z");
  CHECK(normalised("2024-02-29") == "2024-02-29T00:00:00.000Z");
}

TEST_CASE("what is no time is refused") {
  for (const char* text :
       {"", "2026", "2026-13-01", "2026-02-29", "2026-11-22T", "2026-11-22T25:00:00Z",
        "2026-11-22T13:40:00", "2026-11-22T13:40:00Zjunk", "2026-11-22T13:40:00.Z", "-026-11-22",
        "2026-11-22T13:40Z", "yesterday", "2026-11-22T13:40:00+24:00", "2026-11-22T13:40:00-01:60",
        "2026-11-22T13:40:00+99:99"}) {
    CAPTURE(text);
    REQUIRE_FALSE(parse_timestamp(text));
    CHECK(parse_timestamp(text).error().kind == ErrorKind::kInvalid);
  }
}

TEST_CASE("a day is a half-open range") {
  const auto now = parse_timestamp("2026-03-01T00:10:00Z").value();
  const auto day = parse_day("2026-11-22", now).value();
  CHECK(day.contains(parse_timestamp("2026-11-22").value()));
  CHECK(day.contains(parse_timestamp("2026-11-22T23:59:59.999Z").value()));
  CHECK_FALSE(day.contains(parse_timestamp("2026-11-23").value()));
  CHECK_FALSE(day.contains(parse_timestamp("2026-11-21T23:59:59.999Z").value()));
  CHECK(format_timestamp(*parse_day("yesterday", now)->since) == "2026-02-28T00:00:00.000Z");
  CHECK(format_timestamp(*parse_day("today", now)->since) == "2026-03-01T00:00:00.000Z");
  CHECK_FALSE(parse_day("2026-11-22T00:00:00Z", now));
}

TEST_CASE("an absent end of a range is unbounded") {
  CHECK(TimeRange{}.contains(now()));
  CHECK(TimeRange{.since = now(), .until = {}}.contains(now() + std::chrono::years(100)));
}
