// Batches that B gets wholly or not at all.
#pragma once

#include <span>

#include "transfer/job.h"
#include "transfer/run_context.h"
#include "transfer/session.h"

namespace ferry::transfer {

/// True where every job of the batch waits, uploaded, for its name.
bool is_all_uploaded(std::span<const Job> jobs);

/// Notes which final names are taken before the batch gets its own.
void note_existing_targets(std::span<Job> jobs, Session& session);

/// Undoes what a batch did at B, as far as the session lives: removes its part files and those of
/// its files whose names were free before. Ends the jobs that had not failed themselves.
void roll_back(std::span<Job> jobs, const RunContext& context, Session& session);

}  // namespace ferry::transfer
