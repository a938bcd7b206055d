// Part files at a destination that nobody will go on with, as nobody knows of them any more: of a
// host that is gone with its state directory, say. stale_parts.h has those that are known.
#pragma once

#include <chrono>
#include <set>
#include <string>
#include <vector>

#include "ferry/base/result.h"
#include "ferry/base/time.h"
#include "ferry/metastore/metastore.h"
#include "ferry/sftp/protocol.h"
#include "ferry/sftp/task.h"
#include "ferry/transfer/agent.h"
#include "transfer/deliver/session.h"

namespace ferry::transfer {

/// What a walk through a destination finds of parts. Pure.
class PartsFound {
 public:
  /// PATH as journals have it. Whatever the server calls anything but a regular file, or does not
  /// tell the time of, is not taken for a part.
  void add(std::string path, const sftp::DirectoryEntry& entry);

  /// Those that were last written more than KEEP ago by the server's own clock, and that are not
  /// RESUMABLE. Its clock shows at least what the newest thing there has, and counts as slow rather
  /// than fast: beside NOW, the earlier of both holds.
  std::vector<std::string> older_than(std::chrono::milliseconds keep, Timestamp now,
                                      const std::set<std::string>& resumable) const;

  bool is_full() const;  // there may be more

 private:
  struct Part {
    std::string path;
    Timestamp modified;
  };
  std::vector<Part> parts_;
  Timestamp newest_{};
};

/// Once a day: removes the parts below the destination's directory that are older than its
/// part_keep, but none that a journal of this host speaks of, nor any that is younger than what
/// some running agent has in hand. Errors: those of the connection, of walk_tree, of the metastore,
/// and of journals that cannot be read; then nothing is removed.
sftp::Task<Result<void>> remove_old_parts(Session& session, const Destination& destination,
                                          const TransferOptions& options,
                                          metastore::Metastore& metastore);

}  // namespace ferry::transfer
