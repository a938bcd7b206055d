// The agent's own copy of a batch's control file: written before the push, and what is pushed.
#pragma once

#include <string>

#include "ferry/base/fd.h"
#include "ferry/base/file.h"
#include "ferry/base/hash.h"
#include "ferry/transfer/control_file.h"
#include "transfer/batch_journal.h"
#include "transfer/session.h"

namespace ferry::transfer {

struct KeptControlFile {
  fs::path path;
  UniqueFd fd;
  std::uint64_t size = 0;
  Checksum sha256;
};

/// Lists in DIRECTORY the COUNT files, of TOTAL_BYTES, that JOURNAL says were delivered; an older
/// copy of the batch is replaced.
Result<KeptControlFile> keep_control_file(const fs::path& directory, const BatchJournal& journal,
                                          std::uint64_t count, std::uint64_t total_bytes);

/// Publishes it as REMOTE_PATH, as any other file; TOKEN tells its part file from others.
sftp::Task<Result<void>> push_control_file(Session& session, const KeptControlFile& kept,
                                           std::string remote_path, std::string token,
                                           const TransferOptions& options);

/// Removes copies, in DIRECTORY, of batches that were completed before TIME. Returns how many.
Result<std::uint64_t> remove_old_control_files(const fs::path& directory, Timestamp time);

}  // namespace ferry::transfer
