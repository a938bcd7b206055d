// Where the control file of a batch goes that an earlier run left open, and that could not be
// pushed there: if the destination has got another control_dir or control_name since, to that.
#pragma once

#include "ferry/base/result.h"
#include "ferry/sftp/task.h"
#include "transfer/batch/batch.h"
#include "transfer/deliver/session.h"
#include "transfer/run/run_context.h"

namespace ferry::transfer {

/// look_at_remains, and then, unless the control file is known to be pushed, or may be where it was
/// to go, its name of today is noted in BATCH's journal. In another directory than that of the
/// batch it would tell of files that are not there: then the old name stays. Errors: those of
/// look_at_remains.
sftp::Task<Result<void>> take_over(Session& session, Batch& batch, const BatchContext& context);

}  // namespace ferry::transfer
