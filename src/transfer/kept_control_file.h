// The agent's own copy of a batch's control file: written before the push, and what is pushed.
#pragma once

#include <string>

#include "ferry/base/fd.h"
#include "ferry/base/file.h"
#include "ferry/base/hash.h"
#include "ferry/transfer/control_file.h"
#include "transfer/session.h"

namespace ferry::transfer {

struct KeptControlFile {
  fs::path path;
  UniqueFd fd;
  std::uint64_t size = 0;
  Checksum sha256;
};

/// Writes CONTROL into DIRECTORY, made where it is missing; an older copy of the batch is replaced.
Result<KeptControlFile> keep_control_file(const fs::path& directory, const ControlFile& control);

/// Publishes it as REMOTE_PATH, as any other file; ID tells its part file from others.
sftp::Task<Result<void>> push_control_file(Session& session, const KeptControlFile& kept,
                                           std::string remote_path, std::string_view id,
                                           const TransferOptions& options);

}  // namespace ferry::transfer
