#include "ferry/base/stop_relay.h"

#include <doctest/doctest.h>
#include <poll.h>

using namespace ferry;

namespace {

bool is_requested_within(const StopToken& stop, int ms) {
  pollfd fd{stop.fd(), POLLIN, 0};
  return ::poll(&fd, 1, ms) == 1;
}

}  // namespace

TEST_CASE("a stop is passed on, before and while there is a relay") {
  StopToken from;
  StopToken later;
  StopToken at_once;
  {
    const StopRelay relay(from, later);
    CHECK_FALSE(later.stop_requested());
    from.request_stop();
    CHECK(is_requested_within(later, 10'000));
  }
  const StopRelay relay(from, at_once);
  CHECK(is_requested_within(at_once, 10'000));
}

TEST_CASE("a stop is passed on once its grace is over, and never if the relay goes before") {
  StopToken from;
  StopToken later;
  StopToken never;
  from.request_stop();
  const StopRelay relay(from, later, std::chrono::milliseconds(20));
  {
    const StopRelay gone(from, never, std::chrono::hours(1));
  }
  CHECK(is_requested_within(later, 10'000));
  CHECK_FALSE(never.stop_requested());
}

TEST_CASE("nothing is passed on once the relay is gone") {
  StopToken from;
  StopToken to;
  {
    const StopRelay relay(from, to);
  }
  from.request_stop();
  CHECK_FALSE(to.stop_requested());
}
