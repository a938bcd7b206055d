// Who works on a JsonlMetastore, and what they have in hand.
#include <algorithm>

#include "metastore/jsonl/jsonl_metastore.h"

namespace ferry::metastore {
namespace {

bool still_holds_one(Snapshot& snapshot, FileNumber number, const std::string& agent,
                     const std::string& destination) {
  const auto known = snapshot.index().file(number);
  if (!known) return false;
  const auto delivery_of = [&](FileNumber version, const auto& holds) {
    const auto deliveries = snapshot.deliveries(version);
    return holds(find_delivery(deliveries, destination));
  };
  const bool is_ours =
      delivery_of(number, [&](const Delivery* delivery) { return is_in_hand(delivery, agent); });
  if (!is_ours) return false;
  const FileRecord outline = snapshot.outline(*known);
  const auto versions = snapshot.versions(outline.landing, outline.path);
  return std::ranges::none_of(versions, [&](FileNumber other) {
    return other != number && delivery_of(other, [&](const Delivery* delivery) {
             return is_in_the_way(delivery, other > number);
           });
  });
}

}  // namespace

Result<std::unique_ptr<AgentPresence>> JsonlMetastore::join() {
  return transact([&](Transaction&) -> Result<std::unique_ptr<AgentPresence>> {
    remove_dead_agents(*directory_);
    return make_presence(directory_, new_agent_name());
  });
}

Result<std::unique_ptr<AgentPresence>> JsonlMetastore::join_as(const std::string& name) {
  return transact([&](Transaction&) { return make_presence(directory_, name); });
}

Result<std::vector<bool>> JsonlMetastore::still_holds(const std::string& agent,
                                                      const std::string& destination,
                                                      std::span<const std::string> ids) {
  return transact([&](Transaction& transaction) -> Result<std::vector<bool>> {
    Snapshot& snapshot = transaction.snapshot();
    std::vector<bool> held;
    for (const std::string& id : ids) {
      const auto number = snapshot.index().find(id);
      held.push_back(number && still_holds_one(snapshot, *number, agent, destination));
    }
    return held;
  });
}

}  // namespace ferry::metastore
