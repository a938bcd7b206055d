// A route's own checks of a file that is as it was registered.
#pragma once

#include "ferry/base/result.h"
#include "ferry/base/stop.h"
#include "ferry/metastore/records.h"
#include "ferry/transfer/routes.h"
#include "transfer/source/source_opener.h"

namespace ferry::transfer {

/// kAbnormal if ROUTE refuses the file, which is SOURCE below LANDING; other errors are not the
/// file's fault: kInvalid if a command would have to look at a file on a server. What a person
/// released from quarantine is not refused again.
Result<void> check_acceptance(const Route& route, SourceOpener& sources, const LandingRoot* landing,
                              const metastore::FileRecord& file, const CheckedSource& source,
                              const StopToken& stop);

}  // namespace ferry::transfer
