// What a landing area is like, for those who look for trouble before it comes.
#pragma once

#include <cstdint>
#include <string>

#include "ferry/base/file.h"
#include "ferry/base/result.h"
#include "ferry/base/stop.h"
#include "ferry/sftp/connect.h"

namespace ferry::landing {

/// On a file system whose other clients' changes cause no events here (NFS, SMB, FUSE …).
Result<bool> is_on_network(const fs::path& path);

/// No landing area registers a file of this relative path, however it is configured: a dot file,
/// one below a dot directory, or one that is not complete by its name.
bool is_never_registered(const std::string& path);

/// How many directories a watcher watches in this area, itself included.
Result<std::uint64_t> count_directories(const fs::path& area);

/// How many names a landing area on a server has at its top: whoever can tell can list it. Errors:
/// those of sftp::connect; kNotFound or kDenied for the directory.
Result<std::uint64_t> count_names(const sftp::Location& location, StopToken& stop);

/// How many directories inotify(7) lets this user watch (max_user_watches).
Result<std::uint64_t> watch_limit();

}  // namespace ferry::landing
