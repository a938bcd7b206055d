// Directories on a server, made if they are missing.
#pragma once

#include <map>
#include <string>

#include "ferry/base/result.h"
#include "ferry/sftp/client.h"
#include "ferry/sftp/shared_result.h"
#include "ferry/sftp/task.h"

namespace ferry::sftp {

/// Remembers what it made, so that each directory costs one or two requests however many files go
/// there at once. Belongs to its client.
class RemoteDirectories {
 public:
  explicit RemoteDirectories(Client& client) : client_(client) {}

  Task<Result<void>> ensure(std::string directory);

 private:
  Task<Result<void>> make(std::string directory);
  Task<Result<bool>> is_directory(std::string path);  // false: nothing there

  Client& client_;
  std::map<std::string, SharedResult<Result<void>>> outcomes_;
};

}  // namespace ferry::sftp
