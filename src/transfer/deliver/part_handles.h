// The part files that a connection has open for chunks.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "ferry/base/result.h"
#include "ferry/sftp/client.h"
#include "ferry/sftp/shared_result.h"
#include "ferry/sftp/task.h"
#include "transfer/deliver/publish.h"

namespace ferry::transfer {

/// One handle a part file, shared by all lanes that write chunks of it. Belongs to its client.
class PartHandles {
 public:
  explicit PartHandles(sftp::Client& client) : client_(client) {}

  /// Opens it with the first borrower, who looks at it by LOOK before anybody writes. Each borrow
  /// that succeeded wants one give_back.
  using Look = std::function<sftp::Task<Result<void>>(const sftp::Handle& part)>;
  sftp::Task<Result<sftp::Handle>> borrow(Target target, Look look);
  /// Closes it with the last.
  sftp::Task<Result<void>> give_back(std::string part_path);

 private:
  struct Entry {
    sftp::SharedResult<Result<sftp::Handle>> handle;
    unsigned borrowers = 0;
  };

  sftp::Client& client_;
  std::map<std::string, Entry> entries_;  // by part path
};

}  // namespace ferry::transfer
