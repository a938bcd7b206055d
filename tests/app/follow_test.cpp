#include "app/follow.h"

#include <doctest/doctest.h>

using namespace ferry::app;
using namespace std::chrono_literals;

TEST_CASE("a destination that cannot be reached is left alone, each time for longer") {
  const auto start = Patience::Clock::time_point() + 1h;
  Patience patience;
  CHECK(patience.is_due(start));
  CHECK(patience.failed(start) == Patience::kFirst);
  CHECK_FALSE(patience.is_due(start));
  CHECK(patience.is_due(patience.next()));
  CHECK(patience.failed(start) == 2 * Patience::kFirst);
  for (int i = 0; i < 20; ++i) patience.failed(start);
  CHECK(patience.failed(start) == Patience::kLongest);
  patience.reached();
  CHECK(patience.is_due(start));
  CHECK(patience.failed(start) == Patience::kFirst);
}
