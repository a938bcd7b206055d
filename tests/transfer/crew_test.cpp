#include "transfer/deliver/crew.h"

#include <doctest/doctest.h>

using namespace ferry::transfer;
using std::chrono::milliseconds;

TEST_CASE("another connection is dialled only while it would pay for itself") {
  const auto worth = [](std::uint64_t done, std::uint64_t total, int elapsed_ms,
                        unsigned connections = 1, milliseconds round_trip = {}) {
    return is_worth_dialling({.total = total, .done = done}, milliseconds(elapsed_ms), connections,
                             round_trip);
  };
  CHECK(worth(20, 100, 200));
  CHECK_FALSE(worth(30, 100, 200));
  CHECK_FALSE(worth(100, 100, 200));
  INFO("each further one takes more work");
  CHECK_FALSE(worth(20, 100, 200, 2));
  CHECK(worth(10, 100, 200, 2));
  INFO("before there is something to go by, only for what keeps the best of lines busy");
  CHECK_FALSE(worth(1, 100, 100));
  CHECK_FALSE(worth(0, 100, 200));
  CHECK(worth(0, 1ULL << 30, 0));
  INFO("and only for the second one");
  CHECK_FALSE(worth(0, 1ULL << 30, 0, 2));
  INFO("unless it is the line that makes each of them wait");
  CHECK(worth(0, 1ULL << 30, 0, 2, milliseconds(20)));
  CHECK(worth(0, 1ULL << 30, 0, 3, milliseconds(20)));
  CHECK_FALSE(worth(0, 1ULL << 30, 0, 4, milliseconds(20)));
  CHECK_FALSE(worth(0, 40ULL << 20, 0, 1, milliseconds(20)));
  INFO("or where nothing comes of it");
  CHECK(worth(0, 100, 2000));
}

TEST_CASE("what the server granted bounds how many connections are dialled at once") {
  Ramp ramp{.granted = 1, .dialling = 2};
  CHECK(ramp.may_dial(8));
  ramp.dialling = 3;
  CHECK_FALSE(ramp.may_dial(8));
  ramp = {.granted = 2, .dialling = 4};
  CHECK(ramp.may_dial(8));
  ramp = {.granted = 5, .dialling = 2};
  CHECK(ramp.may_dial(8));
  INFO("nor more than there may be");
  CHECK_FALSE(ramp.may_dial(7));
  INFO("nor after a refusal");
  ramp.refused = true;
  CHECK_FALSE(ramp.may_dial(8));
}
