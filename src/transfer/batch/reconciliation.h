// What an agent that takes a dead one's place still has in hand of a batch.
#pragma once

#include "ferry/base/result.h"
#include "ferry/metastore/metastore.h"
#include "transfer/batch/batch.h"
#include "transfer/run/run_context.h"

namespace ferry::transfer {

/// Lets go of those files of BATCH that somebody else has taken since, or of which another version
/// went its way: nothing is done to their names, and they are neither listed nor recorded. Their
/// parts are abandoned. The batch has the presence of its agent. Errors: the metastore's and the
/// journal's.
Result<void> let_go_of_what_is_lost(metastore::Metastore& metastore, Batch& batch,
                                    const BatchContext& context);

}  // namespace ferry::transfer
