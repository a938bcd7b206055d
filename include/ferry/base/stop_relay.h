// A stop that reaches what has a token of its own.
#pragma once

#include <chrono>
#include <thread>

#include "ferry/base/stop.h"

namespace ferry {

/// While it exists, a stop that is requested of FROM, now or before, is requested of TO as well,
/// GRACE later. Both must outlive it.
class StopRelay {
 public:
  StopRelay(const StopToken& from, StopToken& to, std::chrono::milliseconds grace = {});
  StopRelay(const StopRelay&) = delete;
  StopRelay& operator=(const StopRelay&) = delete;
  ~StopRelay();

 private:
  StopToken over_;
  std::thread thread_;
};

}  // namespace ferry
