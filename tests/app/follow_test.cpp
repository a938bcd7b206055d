#include "app/delivery/follow.h"

#include <doctest/doctest.h>

using namespace ferry::app;
using namespace std::chrono_literals;

TEST_CASE("a destination that cannot be reached is left alone, each time for longer") {
  Patience patience;
  CHECK(patience.failed() == Patience::kFirst);
  CHECK(patience.failed() == 2 * Patience::kFirst);
  for (int i = 0; i < 20; ++i) patience.failed();
  CHECK(patience.failed() == Patience::kLongest);
  patience.reached();
  CHECK(patience.failed() == Patience::kFirst);
}

TEST_CASE("idle time counts from when nothing was pending any more") {
  const auto start = IdleTime::Clock::time_point() + 1h;
  IdleTime idle(10s);
  CHECK_FALSE(idle.is_over(start));
  idle.look(true, start);
  CHECK_FALSE(idle.ends());
  idle.look(false, start + 1s);
  idle.look(false, start + 5s);
  CHECK(idle.ends() == start + 11s);
  CHECK_FALSE(idle.is_over(start + 10s));
  CHECK(idle.is_over(start + 11s));
  idle.look(true, start + 11s);
  CHECK_FALSE(idle.is_over(start + 1h));
}

TEST_CASE("without a limit it is never idle for long enough") {
  const auto start = IdleTime::Clock::time_point() + 1h;
  IdleTime idle(0s);
  idle.look(false, start);
  CHECK_FALSE(idle.ends());
  CHECK_FALSE(idle.is_over(start + 1000h));
}
