#include "landing/watch/pulse.h"

#include <doctest/doctest.h>

using namespace ferry::landing;
using namespace std::chrono_literals;

namespace {

/// As it will be after TIME.
Pulse::Clock::time_point after(Pulse::Clock::duration time) {
  return Pulse::Clock::now() + time;
}

}  // namespace

TEST_CASE("a thread that rests is never stuck, one that is busy is after a while") {
  Pulses pulses;
  Pulse& pulse = pulses.add("worker");
  CHECK(pulses.stuck(after(1h), 1min) == nullptr);
  pulse.beat();
  CHECK(pulses.stuck(after(0s), 1min) == nullptr);
  REQUIRE(pulses.stuck(after(1h), 1min) == &pulse);
  CHECK(pulses.stuck(after(1h), 1min)->name() == "worker");
  {
    const Rest rest(pulse);
    CHECK(pulses.stuck(after(1h), 1min) == nullptr);
  }
  CHECK(pulses.stuck(after(1h), 1min) == &pulse);
  pulse.rest();
  CHECK(pulses.stuck(after(1h), 1min) == nullptr);
}

TEST_CASE("one that is stuck among others that are not is found") {
  Pulses pulses;
  pulses.add("first").rest();
  Pulse& stuck = pulses.add("second");
  pulses.add("third").rest();
  stuck.beat();
  CHECK(pulses.stuck(after(1h), 1min) == &stuck);
}
