#include "ferry/base/units.h"

#include <doctest/doctest.h>

namespace ferry {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

TEST_CASE("durations are read with their unit") {
  CHECK(parse_duration("500ms") == milliseconds(500));
  CHECK(parse_duration("2s") == seconds(2));
  CHECK(parse_duration("5m") == minutes(5));
  CHECK(parse_duration("1h") == hours(1));
  CHECK(parse_duration("2d") == hours(48));
  CHECK(parse_duration("1.5h") == minutes(90));
  CHECK(parse_duration("1h30m") == minutes(90));
  CHECK(parse_duration("1d 12h 5s") == hours(36) + seconds(5));
}

TEST_CASE("a duration without a known unit is refused") {
  for (const auto* text : {"", "5", "s", "-1s", "5 weeks", "5sec", "30m1h", "1h1h", "1.h", ".5h",
                           "1.2.3s", "1h 30", "99999999999999999999s", "9223372036854775807d"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_duration(text));
  }
}

TEST_CASE("sizes are read with or without unit, as powers of 1024, or with a B of 1000") {
  CHECK(parse_size("4096") == 4096U);
  CHECK(parse_size("64KiB") == 64U * 1024);
  CHECK(parse_size("4MiB") == 4U * 1024 * 1024);
  CHECK(parse_size("1G") == 1024U * 1024 * 1024);
  CHECK(parse_size("10 B") == 10U);
  CHECK(parse_size("1.5M") == 3U * 512 * 1024);
  CHECK(parse_size("10MB") == 10'000'000U);
  CHECK(parse_size("2 GB") == 2'000'000'000U);
  CHECK(parse_size("0.5KiB") == 512U);
}

TEST_CASE("a size of another form is refused") {
  for (const auto* text :
       {"", "MiB", "-1", "4mb", "4 mib", "1M1K", "0x10", "99999999999999999999", "9999999999T"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_size(text));
  }
}

TEST_CASE("what is formatted reads back to the same") {
  for (const auto value : {0, 1, 999, 1000, 1500, 60'000, 90'000, 3'600'000, 86'400'000}) {
    CHECK(parse_duration(format_duration(milliseconds(value))) == milliseconds(value));
  }
  for (const std::uint64_t value :
       {0ULL, 1ULL, 1023ULL, 1024ULL, 1536ULL, 4ULL << 20, 3ULL << 40}) {
    CHECK(parse_size(format_size(value)) == value);
  }
  CHECK(format_duration(seconds(300)) == "5m");
  CHECK(format_size(4 << 20) == "4MiB");
}

TEST_CASE("amounts for reading are rounded") {
  CHECK(human_size(999) == "999 B");
  CHECK(human_size(1536) == "1.5 KiB");
  CHECK(human_duration(milliseconds(800)) == "0.8s");
  CHECK(human_duration(seconds(200)) == "3m 20s");
  CHECK(human_duration(hours(30)) == "1d 6h");
}

}  // namespace
}  // namespace ferry
