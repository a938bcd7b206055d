// Walking through what lies below a directory on a server that nobody trusts.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "ferry/base/result.h"
#include "ferry/sftp/client.h"
#include "ferry/sftp/protocol.h"
#include "ferry/sftp/task.h"

namespace ferry::sftp {

/// Paths are relative to the directory that the walk began in; called in no order.
struct TreeVisitor {
  /// Of a directory: true if the walk is to go into it.
  std::function<bool(const std::string& path, const DirectoryEntry& entry)> entry;
  /// A directory that cannot be listed: nobody knows what lies below it.
  std::function<void(const std::string& path, const std::string& reason)> unreadable;
};

/// A server must not make us collect names without end, nor lead us down for ever: a longer path is
/// said to be unreadable.
constexpr std::size_t kMaxTreeNames = 5'000'000;
constexpr std::size_t kMaxTreeBytes = 512 << 20;
constexpr std::size_t kMaxTreePathBytes = 4'000;

/// Lists DIRECTORY and what is below it, several directories at once, without following symbolic
/// links. What vanishes meanwhile is not there. Errors: those of the connection, those of DIRECTORY
/// itself, and kFailed if there are more than kMaxTreeNames, or kMaxTreeBytes of paths.
Task<Result<void>> walk_tree(Client& client, std::string directory, TreeVisitor visitor);

}  // namespace ferry::sftp
