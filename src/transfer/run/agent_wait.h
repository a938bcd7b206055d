// What an agent's thread sleeps for.
#pragma once

#include <chrono>
#include <optional>
#include <vector>

#include "ferry/base/fd.h"

namespace ferry::transfer {

class AgentWait {
 public:
  using Time = std::chrono::steady_clock::time_point;

  AgentWait();

  /// Ends the wait under way, or the next one. Thread-safe.
  void wake() const;

  /// Until somebody wakes us, DEADLINE, or one of FDS is readable; those below 0 are left out.
  void until(std::optional<Time> deadline, const std::vector<int>& fds) const;

 private:
  UniqueFd event_;  // an eventfd(2)
};

}  // namespace ferry::transfer
