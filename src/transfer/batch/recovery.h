// What a dead agent's batch left at B.
//
// What got its final name is listed and recorded, and not sent again; part files that nobody will
// go on with are removed; all else is pending again.
#pragma once

#include "ferry/base/result.h"
#include "ferry/sftp/task.h"
#include "transfer/batch/batch.h"
#include "transfer/deliver/session.h"
#include "transfer/run/run_context.h"

namespace ferry::transfer {

/// Looks at what BATCH's journal names, and notes there what it finds. Afterwards the batch can be
/// brought to its end as if its agent had lived. May be begun again. Errors: those of the
/// connection and of the journal.
sftp::Task<Result<void>> look_at_remains(Session& session, Batch& batch,
                                         const BatchContext& context);

}  // namespace ferry::transfer
