// Control files that nobody at the destination needs any more.
#pragma once

#include <string_view>

#include "ferry/base/result.h"
#include "ferry/base/time.h"
#include "ferry/sftp/protocol.h"
#include "ferry/sftp/task.h"
#include "ferry/transfer/agent.h"
#include "transfer/deliver/session.h"

namespace ferry::transfer {

/// Pure: whether ENTRY of DESTINATION's control directory has a name that is_name_of_control_files
/// keeps from all delivered files, and is from before TIME. Both have to say so: the id in the
/// name, which has the time when the batch was begun, and the server.
bool is_old_control_file(const Destination& destination, const sftp::DirectoryEntry& entry,
                         Timestamp time);

/// Removes those from before TIME; nothing else, and nothing that the server does not call a
/// regular file. What cannot be removed is left for the next time. Errors: those of the connection
/// and of listing the directory.
sftp::Task<Result<void>> prune_control_directory(Session& session, const Destination& destination,
                                                 Timestamp time);

}  // namespace ferry::transfer
