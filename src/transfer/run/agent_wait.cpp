#include "transfer/run/agent_wait.h"
#include "ferry/base/event_fd.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdint>
#include <vector>

namespace ferry::transfer {

AgentWait::AgentWait() : event_(make_event_fd()) {}

void AgentWait::wake() const {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(event_.get(), &one, sizeof one);
}

void AgentWait::until(std::optional<Time> deadline, const std::vector<int>& fds) const {
  std::vector<pollfd> waiting{{event_.get(), POLLIN, 0}};
  for (const int fd : fds) {
    if (fd >= 0) waiting.push_back({fd, POLLIN, 0});
  }
  int timeout = -1;
  if (deadline) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(*deadline - std::chrono::steady_clock::now())
            .count();
    timeout = static_cast<int>(std::clamp<decltype(left + 0)>(left, 0, INT_MAX));
  }
  ::poll(waiting.data(), waiting.size(), timeout);
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t taken = ::read(event_.get(), &count, sizeof count);
}

}  // namespace ferry::transfer
