// Who stands in for dead agents while their batches are brought to their end.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ferry/metastore/metastore.h"
#include "transfer/batch/batch_journal.h"

namespace ferry::transfer {

class Predecessors {
 public:
  /// So that nobody takes what the agent of BATCH had in hand while we look what became of it.
  /// kBusy if it runs.
  Result<std::shared_ptr<metastore::AgentPresence>> stand_in_for(metastore::Metastore& metastore,
                                                                 const BatchInfo& batch);

  /// But for those whose batches could not be brought to their end, and have journals in DIRECTORY:
  /// a newer version of what such a batch delivered has to wait until that is listed.
  void let_go(const fs::path& directory);
  void let_all_go() { known_.clear(); }

  /// Whether what one had in hand may be somebody else's.
  bool have_lost_claims() const;
  /// What tells of that is appended to FDS.
  void add_lost_fds(std::vector<int>& fds) const;

 private:
  struct Predecessor {
    std::shared_ptr<metastore::AgentPresence> presence;
    std::vector<std::string> batches;  // ids
  };
  std::vector<Predecessor> known_;
};

}  // namespace ferry::transfer
