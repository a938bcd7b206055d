// What an earlier run left at B, and what is left to do.
#pragma once

#include <span>

#include "transfer/job.h"
#include "transfer/run_context.h"
#include "transfer/session.h"

namespace ferry::transfer {

/// Gives a job whose content nobody has begun to send a Spread, where it goes out in chunks.
void plan_afresh(Job& job);

/// Removes what is left at B of jobs whose content has to be made anew: it may come out different.
void remove_outdated_parts(std::span<Job> jobs, const RunContext& context, Session& session);

/// Gives each open job whose content is known, and goes out in chunks, its Spread: the chunks that
/// B has not acknowledged yet, as far as the part file is still there.
void plan_spreads(std::span<Job> jobs, const RunContext& context, Session& session);

}  // namespace ferry::transfer
