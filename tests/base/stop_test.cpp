#include "ferry/base/stop.h"

#include <doctest/doctest.h>
#include <poll.h>
#include <signal.h>

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

TEST_CASE("hangups ask for a reload, once for all that came") {
  ReloadRequest& reload = reload_on_hangup();
  CHECK_FALSE(reload.take());
  ::raise(SIGHUP);
  ::raise(SIGHUP);
  pollfd fd{reload.fd(), POLLIN, 0};
  CHECK(::poll(&fd, 1, 0) == 1);
  CHECK(reload.take());
  CHECK_FALSE(reload.take());
}
