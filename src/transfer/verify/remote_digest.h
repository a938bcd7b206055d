// What the bytes of a remote file are.
#pragma once

#include <cstdint>
#include <string>

#include "ferry/base/hash.h"
#include "ferry/base/result.h"
#include "ferry/sftp/client.h"
#include "ferry/sftp/task.h"

namespace ferry::transfer {

/// The SHA-256 of all of a file, read back; kFailed if it has more than AT_MOST bytes.
sftp::Task<Result<Checksum>> read_checksum(sftp::Client& client, std::string path,
                                           std::uint64_t at_most);

}  // namespace ferry::transfer
