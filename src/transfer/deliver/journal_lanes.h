// Works on all files of a batch's journal, many at a time.
#pragma once

#include <functional>
#include <vector>

#include "ferry/base/result.h"
#include "ferry/sftp/task.h"
#include "transfer/batch/batch_journal.h"
#include "transfer/deliver/session.h"

namespace ferry::transfer {

/// A file that was begun, and where.
struct BegunFile {
  BatchJournal::Place place = 0;
  BatchFile file;
};

/// Runs WORK for each file that JOURNAL says was begun and that IS_WANTED. Ends, once what is under
/// way has ended, with the first error.
sftp::Task<Result<void>> for_each_begun(
    Session& session, const BatchJournal& journal,
    const std::function<bool(BatchJournal::Place place)>& is_wanted,
    const std::function<sftp::Task<Result<void>>(BegunFile begun)>& work);

}  // namespace ferry::transfer
