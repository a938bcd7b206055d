#include "app/config/local_time.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <ctime>
#include <string>

namespace ferry::app {
namespace {

using std::chrono::hours;

/// The process's zone, as TZ has it, while this lives.
class Zone {
 public:
  explicit Zone(const char* name) {
    ::setenv("TZ", name, 1);
    ::tzset();
  }
  Zone(const Zone&) = delete;
  Zone& operator=(const Zone&) = delete;
  ~Zone() {
    ::unsetenv("TZ");
    ::tzset();
  }
};

Timestamp utc(std::string_view text) {
  return parse_timestamp(text).value();
}

const Timestamp kNow = utc("2026-11-25T22:30:00Z");

}  // namespace

TEST_CASE("times are of the process's zone, unless they say otherwise") {
  const Zone berlin(":Europe/Berlin");
  CHECK(parse_point("2026-11-25 21:00", kNow).value() == utc("2026-11-25T20:00:00Z"));
  CHECK(parse_point("2026-07-01T21:00:30", kNow).value() == utc("2026-07-01T19:00:30Z"));
  CHECK(parse_point("2026-11-25", kNow).value() == utc("2026-11-24T23:00:00Z"));
  CHECK(parse_point("2026-11-25T21:00:00Z", kNow).value() == utc("2026-11-25T21:00:00Z"));
  CHECK(parse_point("2h", kNow).value() == kNow - hours(2));
  CHECK(parse_point("1d12h", kNow).value() == kNow - hours(36));
  CHECK(parse_point("now", kNow).value() == kNow);
  CHECK(parse_point("today", kNow).value() == utc("2026-11-24T23:00:00Z"));
  CHECK(format_local(kNow) == "2026-11-25 23:30:00 CET");
}

TEST_CASE("days have as many hours as clocks give them") {
  const Zone berlin(":Europe/Berlin");
  const auto length = [](std::string_view day) {
    const TimeRange range = parse_local_day(day, kNow).value();
    return *range.until - *range.since;
  };
  CHECK(length("2026-11-25") == hours(24));
  CHECK(length("2026-03-29") == hours(23));
  CHECK(length("2026-10-25") == hours(25));
  CHECK(*parse_local_day("2026-03-29", kNow)->since == utc("2026-03-28T23:00:00Z"));
  CHECK(*parse_local_day("2026-03-29", kNow)->until == utc("2026-03-29T22:00:00Z"));
}

TEST_CASE("today is what the zone's calendar says") {
  const Zone auckland(":Pacific/Auckland");
  CHECK(*parse_local_day("today", kNow)->since == utc("2026-11-25T11:00:00Z"));
  CHECK(*parse_local_day("yesterday", kNow)->since == utc("2026-11-24T11:00:00Z"));
  const Zone la(":America/Los_Angeles");
  CHECK(*parse_local_day("yesterday", utc("2026-03-01T10:00:00Z"))->since ==
        utc("2026-02-28T08:00:00Z"));
}

TEST_CASE("a zone by its name and the process's zone show the same") {
  for (const auto* name : {"Europe/Berlin", "America/St_Johns", "Pacific/Apia", "Asia/Kolkata",
                           "Africa/Casablanca", "Australia/Lord_Howe", "UTC"}) {
    CAPTURE(name);
    const Zone process((":" + std::string(name)).c_str());
    const Clocks here;
    const Clocks there = Clocks::in_zone(name).value();
    for (Timestamp time = utc("2011-12-28T00:00:00Z"); time < utc("2041-01-01T00:00:00Z");
         time += hours(24 * 31 + 1)) {
      REQUIRE(there.format(time) == here.format(time));
      REQUIRE(there.date(time) == here.date(time));
      const Date date = here.date(time);
      REQUIRE(there.time_on(date, hours(12)) == here.time_on(date, hours(12)));
    }
  }
}

TEST_CASE("a time that clocks skip is the one an hour later, one that comes twice the first") {
  const Zone elsewhere(":Asia/Tokyo");
  const Clocks berlin = Clocks::in_zone("Europe/Berlin").value();
  const auto on = [&](std::string_view day, std::chrono::minutes time_of_day) {
    return berlin.time_on(*parse_day(day)->date, time_of_day);
  };
  CHECK(on("2026-03-29", std::chrono::minutes(150)) == utc("2026-03-29T01:30:00Z"));
  CHECK(on("2026-10-25", std::chrono::minutes(150)) == utc("2026-10-25T00:30:00Z"));
  CHECK(on("2026-10-26", hours(0)) - on("2026-10-25", hours(0)) == hours(25));
  CHECK(berlin.format(utc("2026-10-25T01:30:00Z")) == "2026-10-25 02:30:00 CET");
}

TEST_CASE("what is not a time is refused") {
  for (const auto* text : {"", "2026-13-01", "2026-02-30", "2026-11-25 24:00", "25:00", "tomorrow",
                           "2026-11-25 21", "-2h", "2"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_point(text, kNow));
  }
  CHECK_FALSE(parse_local_day("2h", kNow));
  CHECK_FALSE(parse_local_day("2026-11-25 21:00", kNow));
}

TEST_CASE("time zones are those that the host has") {
  CHECK(check_time_zone("UTC"));
  CHECK(check_time_zone("Europe/Berlin"));
  for (const auto* name :
       {"", "Europe/Berlim", "/etc/passwd", "../../etc/passwd", "Europe", "a;b"}) {
    CAPTURE(name);
    CHECK_FALSE(check_time_zone(name));
  }
}

}  // namespace ferry::app
