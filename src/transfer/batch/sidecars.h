// What is pushed beside delivered files, for receivers that look for one name at a time.
#pragma once

#include "transfer/batch/batch.h"
#include "transfer/deliver/session.h"

namespace ferry::transfer {

/// Where try TRY_NUMBER to push FILE's sidecar lets it grow.
std::string sidecar_part(const BatchInfo& info, const BatchFile& file, unsigned try_number);

/// Those of all files that the batch has delivered; once more does no harm. TRY_NUMBER: of this
/// batch's tries, each of which has parts of its own.
sftp::Task<Result<void>> push_sidecars(Session& session, Batch& batch, unsigned try_number,
                                       const TransferOptions& options);

}  // namespace ferry::transfer
