// Batches that B gets wholly or not at all: all part files are there, then all names are given.
#pragma once

#include "ferry/base/result.h"
#include "ferry/sftp/task.h"
#include "transfer/batch/batch.h"
#include "transfer/deliver/session.h"

namespace ferry::transfer {

// All may be begun again, on another connection or by another process: what is done is noted in the
// batch's journal. Errors: those of the connection, of the journal, and of the first file that
// failed.

/// Notes which names are taken: what has them is kept before it is replaced, see kept_aside.h.
sftp::Task<Result<void>> look_at_targets(Session& session, Batch& batch);

/// Gives all that is uploaded its name. Once all of it is over, remove_kept removes what was kept.
sftp::Task<Result<void>> give_names(Session& session, Batch& batch);

/// Removes the part files, and those that were given names that had been free, and puts back what
/// was replaced. Their files count as failed. What somebody else has put there since is left alone.
sftp::Task<Result<void>> roll_back(Session& session, Batch& batch);
/// True for what roll_back made of a file.
bool is_rolled_back(const BatchFailure& failure);

}  // namespace ferry::transfer
