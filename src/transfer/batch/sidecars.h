// What is pushed beside delivered files, for receivers that look for one name at a time.
#pragma once

#include "transfer/batch/batch.h"
#include "transfer/deliver/session.h"

namespace ferry::transfer {

/// Where try TRY_NUMBER to push FILE's sidecar lets it grow.
std::string sidecar_part(const BatchInfo& info, const BatchFile& file, unsigned try_number);

/// Whether the sidecar of a file with this path takes its name from nobody: nothing has it, or what
/// could be a sidecar of an earlier file of that path.
sftp::Task<Result<bool>> can_have_sidecar(sftp::Client& client, Sidecar sidecar,
                                          std::string remote_path);

/// Those of all files that the batch has delivered; once more does no harm. What has such a name
/// and is not a sidecar is replaced only if the file's route replaces what has its name; else that
/// is said, and the file has none. TRY_NUMBER: of this batch's tries, each of which has parts of
/// its own.
sftp::Task<Result<void>> push_sidecars(Session& session, Batch& batch, unsigned try_number,
                                       const TransferOptions& options);

}  // namespace ferry::transfer
