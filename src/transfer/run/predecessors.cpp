#include "transfer/run/predecessors.h"

#include <algorithm>
#include <utility>

#include "transfer/run/tenure.h"

namespace ferry::transfer {

Result<std::shared_ptr<metastore::AgentPresence>> Predecessors::stand_in_for(
    metastore::Metastore& metastore, const BatchInfo& batch) {
  auto one = std::ranges::find_if(
      known_, [&](const Predecessor& other) { return other.presence->name() == batch.agent; });
  if (one == known_.end()) {
    auto presence = metastore.join_as(batch.agent);
    if (!presence) return presence.error();
    one = known_.insert(one, {.presence = std::move(*presence), .batches = {}});
  }
  one->batches.push_back(batch.id);
  return one->presence;
}

void Predecessors::let_go(const fs::path& directory) {
  std::erase_if(known_, [&](const Predecessor& one) {
    return std::ranges::none_of(one.batches, [&](const std::string& batch) {
      return BatchJournal::exists(directory, batch);
    });
  });
}

bool Predecessors::have_lost_claims() const {
  return std::ranges::any_of(known_,
                             [](const Predecessor& one) { return is_lost(one.presence.get()); });
}

void Predecessors::add_lost_fds(std::vector<int>& fds) const {
  for (const Predecessor& one : known_) fds.push_back(one.presence->lost_fd());
}

}  // namespace ferry::transfer
