// What tells a receiver that a batch's files are there: pushed when all of them have their names.
#pragma once

#include "ferry/base/result.h"
#include "ferry/sftp/task.h"
#include "transfer/batch/batch.h"
#include "transfer/batch/kept_control_file.h"
#include "transfer/deliver/session.h"
#include "transfer/run/run_context.h"

namespace ferry::transfer {

/// Whether B has the control file: a push got so far, by all that JOURNAL knows, that nobody heard
/// what became of it. A receiver may have read it, and have taken it and the files away. Where it
/// did not get its name, that is noted, and its part may go.
sftp::Task<Result<bool>> was_pushed(Session& session, BatchJournal& journal);

/// What connections that have ended may have made again goes; then, with KEPT, sidecars, signature
/// and control file are pushed, unless they were: TRIES counts, since each try has parts of its
/// own.
sftp::Task<Result<void>> finish_at_destination(Session& session, Batch& batch,
                                               const KeptControlFile* kept, unsigned& tries,
                                               const BatchContext& context);

}  // namespace ferry::transfer
