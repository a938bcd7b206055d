// Reads a range of a remote file in order, with reads in flight ahead of who takes the data.
//
// Between two calls of Client::run the answers wait in the line; that is how a caller on another
// event loop, or on none, can take data piece by piece without waiting a round trip for each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "ferry/base/result.h"
#include "ferry/sftp/client.h"
#include "ferry/sftp/protocol.h"
#include "ferry/sftp/task.h"

namespace ferry::sftp {

/// Data asked for and not yet taken, over all that share it: bounds the memory.
struct ReadBudget {
  std::size_t limit = 2 << 20;
  std::size_t used = 0;
};

/// Belongs to CLIENT's thread; CLIENT and BUDGET must outlive it, HANDLE must stay open. May go at
/// any time but while next is awaited.
class ReadAhead {
 public:
  ReadAhead(Client& client, Handle handle, std::uint64_t begin, std::uint64_t end,
            ReadBudget& budget);
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;
  ~ReadAhead();

  /// Asks for as much as the budget allows.
  void ask();

  /// The next bytes, at least one; none where the range or the file has come to its end.
  Task<Result<std::vector<std::byte>>> next();

 private:
  class Read;
  void ask_for_one();
  void send(std::uint64_t offset, std::size_t size, bool at_front);

  Client& client_;
  const Handle handle_;
  std::uint64_t unasked_;  // where the next read starts
  const std::uint64_t end_;
  ReadBudget& budget_;
  std::deque<std::unique_ptr<Read>> reads_;
};

}  // namespace ferry::sftp
