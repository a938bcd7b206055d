#include "http/protocol/request_rate.h"

#include <doctest/doctest.h>

using namespace ferry::http;
using namespace std::chrono_literals;

TEST_CASE("a token may make so many requests a second, and another as many") {
  RequestRate rate(10);
  const auto start = RequestRate::Clock::time_point{} + 1h;
  for (int i = 0; i < 10; ++i) CHECK(rate.take("a", start));
  CHECK_FALSE(rate.take("a", start));
  CHECK(rate.take("b", start));
  CHECK(rate.take("a", start + 100ms));
  CHECK_FALSE(rate.take("a", start + 100ms));
  // A long rest is worth one second.
  for (int i = 0; i < 10; ++i) CHECK(rate.take("a", start + 1h));
  CHECK_FALSE(rate.take("a", start + 1h));
  CHECK_FALSE(rate.take("a", start));  // whatever the clock does
}
