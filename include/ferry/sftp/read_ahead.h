// Reads a range of a remote file in order, with reads in flight ahead of who takes the data.
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

/// Data asked for and not yet taken, over all that share it: bounds the memory. Each of them gets
/// its part of it, so that none has to wait for every single block while another reads far ahead.
struct ReadBudget {
  std::size_t limit = 2 << 20;  // 100 MiB/s at a round trip of 20 ms
  std::size_t used = 0;
  std::size_t readers = 0;
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

  /// The next bytes, at least one; none if the range or the file has come to its end.
  Task<Result<std::vector<std::byte>>> next();

 private:
  class Read;
  bool may_ask(std::size_t size) const;
  std::size_t next_size() const;
  void ask_for_one();
  void send(std::uint64_t offset, std::size_t size, bool at_front);

  Client& client_;
  const Handle handle_;
  std::uint64_t unasked_;  // where the next read starts
  const std::uint64_t end_;
  ReadBudget& budget_;
  std::size_t used_ = 0;  // of the budget
  std::deque<std::unique_ptr<Read>> reads_;
};

}  // namespace ferry::sftp
