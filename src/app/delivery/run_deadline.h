// Ends a run that takes too long.
#pragma once

#include <atomic>
#include <chrono>
#include <thread>

#include "ferry/base/stop.h"

namespace ferry::app {

/// Requests a stop when TIME has gone by, unless it is destroyed before. TIME 0: never.
class RunDeadline {
 public:
  RunDeadline(std::chrono::milliseconds time, StopToken& run);
  RunDeadline(const RunDeadline&) = delete;
  RunDeadline& operator=(const RunDeadline&) = delete;
  ~RunDeadline();

  /// True where it was the deadline that ended the run, and not a signal.
  bool has_passed() const { return passed_; }

 private:
  void wait(std::chrono::milliseconds time, StopToken& run);

  std::atomic<bool> passed_ = false;
  StopToken over_;
  std::jthread waiter_;
};

}  // namespace ferry::app
