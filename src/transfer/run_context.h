// What all parts of one run share. All of it outlives them.
#pragma once

#include "ferry/base/stop.h"
#include "ferry/transfer/agent.h"
#include "transfer/landing_roots.h"

namespace ferry::transfer {

struct RunContext {
  const Destination& destination;
  const TransferOptions& options;
  const LandingRoots& roots;
  Observer& observer;  // thread-safe
  StopToken& stop;
};

}  // namespace ferry::transfer
