// What a batch that is all or nothing replaces at B, as long as it may have to be put back.
//
// Before a name is taken from a file, that gets a second, hidden name beside it (see aside_path).
// With hardlink@openssh.com the file has both names until the new one replaces it; elsewhere it is
// renamed, and for that moment nothing has the name.
#pragma once

#include "ferry/base/result.h"
#include "ferry/sftp/task.h"
#include "transfer/batch/batch.h"
#include "transfer/deliver/publish.h"
#include "transfer/deliver/session.h"

namespace ferry::transfer {

// All may be done again, on another connection or by another process.

/// Where what FILE replaces is kept.
std::string aside_path_of(const BatchInfo& info, const BatchFile& file);

/// Keeps what has the name PATH under the name ASIDE; false if nothing has it, or a directory,
/// which no file replaces. What ASIDE has already stays: it is what an earlier try kept.
sftp::Task<Result<bool>> keep_aside(sftp::Client& client, std::string path, std::string aside);

/// Gives what is kept as ASIDE the name that TARGET has taken from it; false if nothing is kept.
/// What somebody else has put there since stays, and so does what is kept: that is said.
sftp::Task<Result<bool>> put_back(sftp::Client& client, Target target, std::string aside);

/// Removes TARGET from its final name, which was free before, and which it was given if WAS_NAMED.
/// What somebody else has put there since stays: that is said.
sftp::Task<Result<void>> take_name_back(sftp::Client& client, Target target, bool was_named);

/// Nothing of BATCH is put back any more.
sftp::Task<Result<void>> remove_kept(Session& session, Batch& batch);

}  // namespace ferry::transfer
