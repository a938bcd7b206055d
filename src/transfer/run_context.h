// What all parts of one run share. All of it outlives them.
#pragma once

#include <functional>

#include "ferry/base/stop.h"
#include "ferry/transfer/agent.h"

namespace ferry::transfer {

enum class Phase : std::uint8_t {
  kDeliver,  // each file gets its final name as soon as it is whole
  kUpload,   // files stay part files, to be given their names together later
};

struct Job;

struct RunContext {
  const Destination& destination;
  const TransferOptions& options;
  Observer& observer;  // thread-safe
  RateLimiter& limiter;
  StopToken& stop;
  Phase phase = Phase::kDeliver;
  /// Is told, on any thread, of each job whose content will not be read again in this run.
  std::function<void(const Job&)> on_content_done = {};
};

}  // namespace ferry::transfer
