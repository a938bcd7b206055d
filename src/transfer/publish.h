// One file onto the server: part file, writes, verification, and only then the final name.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "ferry/base/result.h"
#include "ferry/sftp/client.h"
#include "ferry/sftp/task.h"
#include "ferry/transfer/agent.h"

namespace ferry::transfer {

struct Publication {
  std::string part_path;
  std::string final_path;  // in the same directory, which exists
  std::uint64_t size = 0;
  sftp::SourceReader read;
  sftp::OnAcknowledged on_acknowledged;
  /// Asked when all bytes are at the server and before the rename.
  std::function<Result<void>()> verify_source;
  Fsync fsync = Fsync::kWhereOffered;
};

/// On success the whole file is there under its final name, and synced where that was wanted and
/// offered. On an error nothing is there under the final name that was not before, and the part
/// file is removed as far as the connection allows. kRemoteFull where the server has no space.
sftp::Task<Result<void>> publish(sftp::Client& client, const Publication& publication);

}  // namespace ferry::transfer
