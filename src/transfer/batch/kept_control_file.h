// The agent's own copy of a batch's control file, and what is pushed of it.
#pragma once

#include <optional>
#include <string>

#include "ferry/base/fd.h"
#include "ferry/base/file.h"
#include "ferry/base/hash.h"
#include "ferry/base/stop.h"
#include "ferry/transfer/control_file.h"
#include "transfer/batch/batch_journal.h"
#include "transfer/deliver/publish.h"
#include "transfer/deliver/session.h"

namespace ferry::transfer {

struct KeptFile {
  fs::path path;
  UniqueFd fd;
  std::uint64_t size = 0;
  Checksum sha256;
};

struct KeptControlFile {
  std::optional<KeptFile> list;       // in the form that B gets; nothing: B gets none
  std::optional<KeptFile> signature;  // of that
};

/// Lists in DIRECTORY the COUNT files, of TOTAL_BYTES, that JOURNAL says were delivered, always as
/// JSON, and in the form that the batch asks for; an older copy of the batch is replaced. With a
/// SIGNING_KEY what B gets is signed.
Result<KeptControlFile> keep_control_file(const fs::path& directory, const BatchJournal& journal,
                                          std::uint64_t count, std::uint64_t total_bytes,
                                          const fs::path& signing_key, const StopToken& stop);

/// Uploads FILE as TARGET's part file, as any other file.
sftp::Task<Result<void>> upload_kept_file(Session& session, const KeptFile& file,
                                          const Target& target, const TransferOptions& options);

/// Those that an agent left which died as it wrote them. Whoever has the batch's journal may do it.
void remove_unfinished_control_files(const fs::path& directory, std::string_view batch_id);

/// Removes copies, in DIRECTORY, of batches that were completed before TIME. Returns how many.
Result<std::uint64_t> remove_old_control_files(const fs::path& directory, Timestamp time);

}  // namespace ferry::transfer
