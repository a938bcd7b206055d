#include "ferry/base/stop_relay.h"

#include <poll.h>

#include <array>

namespace ferry {

StopRelay::StopRelay(const StopToken& from, StopToken& to, std::chrono::milliseconds grace)
    : thread_([this, &from, &to, grace] {
        std::array<pollfd, 2> fds{pollfd{from.fd(), POLLIN, 0}, pollfd{over_.fd(), POLLIN, 0}};
        while (!from.stop_requested() && !over_.stop_requested()) {
          ::poll(fds.data(), fds.size(), -1);
        }
        if (sleep_unless_stopped(grace, over_)) to.request_stop();
      }) {}

StopRelay::~StopRelay() {
  over_.request_stop();
  thread_.join();
}

}  // namespace ferry
