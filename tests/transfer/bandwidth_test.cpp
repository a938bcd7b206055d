#include "ferry/transfer/bandwidth.h"

#include <doctest/doctest.h>

using namespace ferry;
using namespace ferry::transfer;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;

namespace {

BandwidthLimit limit(std::string_view text) {
  return BandwidthLimit::parse(text).value();
}
constexpr std::uint64_t kMiB = 1 << 20;

}  // namespace

TEST_CASE("one limit for all times") {
  CHECK(limit("10M").at(hours(3)) == 10 * kMiB);
  CHECK(limit("512K").at(hours(3)) == kMiB / 2);
  CHECK(limit("1GiB").at(hours(3)) == 1024 * kMiB);
  CHECK(limit("1000").at(hours(3)) == 1000);
  INFO("as all sizes");
  CHECK(limit("10MB").at(hours(3)) == 10'000'000);
  CHECK(limit("1.5M").at(hours(3)) == 3 * kMiB / 2);
  CHECK(limit("off").at(hours(3)) == 0);
  CHECK(limit("").is_off());
}

TEST_CASE("limits by the hours of the day") {
  const auto table = limit("08:00-18:00=10M 22:30-06:00=50M");
  CHECK(table.at(hours(8)) == 10 * kMiB);
  CHECK(table.at(hours(18)) == 0);
  CHECK(table.at(hours(23)) == 50 * kMiB);
  CHECK(table.at(hours(0)) == 50 * kMiB);
  CHECK(table.at(hours(6)) == 0);
  CHECK(table.at(minutes(22 * 60 + 29)) == 0);
}

TEST_CASE("the first that fits counts") {
  const auto table = limit("08:00-18:00=off 5M");
  CHECK(table.at(hours(12)) == 0);
  CHECK(table.at(hours(20)) == 5 * kMiB);
}

TEST_CASE("a span may end at midnight") {
  CHECK(limit("18:00-24:00=1M").at(hours(23)) == kMiB);
  CHECK(limit("18:00-24:00=1M").at(hours(0)) == 0);
}

TEST_CASE("what is written is read again") {
  for (const char* text : {"10M", "08:00-18:00=10M 22:30-06:00=50M", "1000", "off", "3K"}) {
    CHECK(limit(text).to_string() == text);
  }
}

TEST_CASE("what is no limit is refused") {
  for (const char* text : {"fast", "0", "10X", "8-18=10M", "08:00-18:00", "08:00=10M",
                           "08:00-25:00=1M", "08:00-08:00=1M", "=1M", "10M=08:00-18:00",
                           "99999999999999999999", "99999999999999G", "-5M"}) {
    CAPTURE(text);
    CHECK_FALSE(BandwidthLimit::parse(text));
  }
}

TEST_CASE("bytes wait for their turn, after a burst of a quarter of a second") {
  RateLimiter limiter(limit("1000"));
  const RateLimiter::Time start{hours(1)};
  const auto wait = [&](std::size_t bytes, milliseconds after = milliseconds(0)) {
    const auto now = start + after;
    return std::chrono::duration_cast<milliseconds>(limiter.reserve(bytes, now, hours(0)) - now);
  };
  CHECK(wait(250) == milliseconds(0));
  CHECK(wait(500) == milliseconds(0));
  CHECK(wait(100) == milliseconds(500));
  CHECK(wait(100) == milliseconds(600));
  INFO("what was not used is not saved up beyond the burst");
  CHECK(wait(250, hours(1)) == milliseconds(0));
  CHECK(wait(100, hours(1)) == milliseconds(0));
  CHECK(wait(100, hours(1)) == milliseconds(100));
}

TEST_CASE("without a limit nothing waits") {
  RateLimiter limiter(limit("off"));
  const RateLimiter::Time now{hours(1)};
  CHECK(limiter.reserve(std::size_t{1} << 40, now, hours(0)) == now);
  CHECK(limiter.reserve(1, now, hours(0)) == now);
}
