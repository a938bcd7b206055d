#include "ferry/base/stop.h"

#include <doctest/doctest.h>
#include <poll.h>

using namespace ferry;

TEST_CASE("a stop wakes whoever polls, and lasts") {
  StopToken stop;
  pollfd fd{stop.fd(), POLLIN, 0};
  CHECK(::poll(&fd, 1, 0) == 0);
  stop.request_stop();
  CHECK(stop.stop_requested());
  CHECK(::poll(&fd, 1, 0) == 1);
  CHECK(::poll(&fd, 1, 0) == 1);
}
