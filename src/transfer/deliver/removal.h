// Removes what is ours at the destination.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ferry/base/result.h"
#include "ferry/sftp/client.h"
#include "ferry/sftp/task.h"
#include "transfer/deliver/session.h"

namespace ferry::transfer {

/// Removes PATH, which nobody needs any more. A server that fails at it may do it in the next
/// moment: it is asked twice, since what stays lies there until remove_old_parts finds it.
sftp::Task<Result<void>> remove_leftover(sftp::Client& client, std::string path);

/// Removes PATHS, some at once over the one connection, and returns how many went. What cannot be
/// removed is left. Errors: those of the connection.
sftp::Task<Result<std::uint64_t>> remove_side_by_side(Session& session,
                                                      std::vector<std::string> paths);

}  // namespace ferry::transfer
