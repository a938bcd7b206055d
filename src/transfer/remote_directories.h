// Directories at the destination, made where they are missing.
#pragma once

#include <coroutine>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ferry/base/result.h"
#include "ferry/sftp/client.h"
#include "ferry/sftp/task.h"

namespace ferry::transfer {

/// Remembers what it made, so that each directory costs one or two requests however many files go
/// there at once. Belongs to its client.
class RemoteDirectories {
 public:
  explicit RemoteDirectories(sftp::Client& client) : client_(client) {}

  sftp::Task<Result<void>> ensure(std::string directory);

 private:
  struct Entry {
    std::optional<Result<void>> outcome;  // absent while somebody is at it
    std::vector<std::coroutine_handle<>> waiting;
  };
  struct Outcome;  // awaits an entry's

  sftp::Task<Result<void>> make(std::string directory);
  sftp::Task<Result<bool>> is_directory(std::string path);  // false: nothing there

  sftp::Client& client_;
  std::map<std::string, Entry> entries_;
};

}  // namespace ferry::transfer
