#include "app/delivery/run_deadline.h"

namespace ferry::app {

RunDeadline::RunDeadline(std::chrono::milliseconds time, StopToken& run) {
  if (time.count() == 0) return;
  waiter_ = std::jthread([this, time, &run] { wait(time, run); });
}

RunDeadline::~RunDeadline() {
  over_.request_stop();
}

void RunDeadline::wait(std::chrono::milliseconds time, StopToken& run) {
  if (!sleep_unless_stopped(time, over_) || run.stop_requested()) return;
  passed_ = true;
  run.request_stop();
}

}  // namespace ferry::app
