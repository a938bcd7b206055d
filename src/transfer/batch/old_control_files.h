// Control files that nobody at the destination needs any more.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "ferry/base/result.h"
#include "ferry/base/time.h"
#include "ferry/sftp/protocol.h"
#include "ferry/sftp/task.h"
#include "ferry/transfer/agent.h"
#include "transfer/deliver/session.h"

namespace ferry::transfer {

/// Pure: the names of those of ENTRIES, which are all of DESTINATION's control directory, that
/// is_name_of_control_files keeps from all delivered files and that are older than its
/// control_keep: at NOW, and when the server wrote the newest of ENTRIES. A clock that is ahead
/// makes none look old.
std::vector<std::string> old_control_files(const Destination& destination,
                                           std::span<const sftp::DirectoryEntry> entries,
                                           Timestamp now);

/// Removes those; nothing that the server does not call a regular file. What cannot be removed is
/// left for the next time. Errors: those of the connection and of listing the directory.
sftp::Task<Result<void>> prune_control_directory(Session& session, const Destination& destination);

}  // namespace ferry::transfer
