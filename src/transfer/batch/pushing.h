// What tells a receiver that a batch's files are there: pushed when all of them have their names.
#pragma once

#include <cstdint>
#include <string>

#include "ferry/base/result.h"
#include "ferry/sftp/task.h"
#include "transfer/batch/batch.h"
#include "transfer/batch/kept_control_file.h"
#include "transfer/deliver/session.h"
#include "transfer/run/run_context.h"

namespace ferry::transfer {

enum class ListFate : std::uint8_t {
  kPushed,   // B has the control file, or had it, and a receiver has taken it
  kPending,  // B never had it under its name, as far as anybody knows
  kLost,     // whatever B had of the batch is gone, and no receiver has taken it
};
/// What became of the control file: a push got so far, by all that JOURNAL knows, that nobody heard
/// of its end. If it is kPending that is noted, and its part may go.
sftp::Task<Result<ListFate>> fate_of_list(Session& session, BatchJournal& journal);
/// Of one that was kLost: what B has of the batch's files was looked at.
sftp::Task<Result<void>> note_not_pushed(Session& session, BatchJournal& journal);

/// The name of an empty file that lies beside the control file from before that gets its name until
/// it is known that it did. A list that is gone was taken by a receiver if this is there: a server
/// that was emptied, or went back to what it had before, has lost both.
std::string mark_path(const BatchInfo& info);
/// Of a batch whose control file B is known to have.
sftp::Task<Result<void>> remove_mark(Session& session, BatchJournal& journal);

/// What connections that have ended may have made again goes; then, with KEPT, sidecars, signature
/// and control file are pushed, unless they were; each try has parts of its own. kFailed: B has
/// lost what it had of the batch; whoever takes this over will see what.
sftp::Task<Result<void>> finish_at_destination(Session& session, Batch& batch,
                                               const KeptControlFile* kept,
                                               const BatchContext& context);

}  // namespace ferry::transfer
