// What an earlier run left at B, and what is left to do.
#pragma once

#include <span>

#include "transfer/job.h"
#include "transfer/run_context.h"
#include "transfer/session.h"

namespace ferry::transfer {

/// Gives each open job that goes out in chunks its Spread: the chunks that B has not acknowledged
/// yet, as far as the part file is still there.
void plan_spreads(std::span<Job> jobs, const RunContext& context, Session& session);

}  // namespace ferry::transfer
