// Where a run goes on with what an earlier one had sent.
#pragma once

#include "ferry/sftp/task.h"
#include "transfer/deliver/job.h"
#include "transfer/deliver/session.h"
#include "transfer/run/run_context.h"

namespace ferry::transfer {

/// Gives JOB, which has none, a part file of its own.
void begin_part(Job& job);

/// All of the job's file is to be sent in chunks, into the part that it has.
void plan_all(Job& job);

/// For a job whose content is known. One that goes out in chunks gets a part and its Spread: the
/// chunks that B has not acknowledged yet, as far as the journal's part is still there. What an
/// earlier run left of others is removed. As long as nobody knows whether the server
/// TAKES_MANY_HANDLES, what has no part goes out as a whole. Errors: that of the batch's journal,
/// and why nobody knows.
sftp::Task<Result<void>> plan_delivery(Job& job, const RunContext& context, sftp::Client& client,
                                       Result<bool> takes_many_handles);

/// Removes what an earlier run left of a job, with its journal: its content is not known yet and
/// may come out different, or none of it is to be sent.
sftp::Task<void> remove_outdated_part(const Job& job, const RunContext& context,
                                      sftp::Client& client);

}  // namespace ferry::transfer
