#include "app/delivery/delivered_batches.h"

#include <set>

namespace ferry::app {
namespace {

using metastore::Delivery;
using metastore::FileRecord;
using metastore::Standing;

std::string reason_of(const Delivery& delivery) {
  if (delivery.status == metastore::TransferStatus::kFailed) {
    return std::string(delivery.error_message);
  }
  return delivery.claim_alive ? "being delivered by another agent" : "its agent died";
}

}  // namespace

Result<DeliveredBatches> find_delivered_batches(metastore::Metastore& metastore,
                                                const DeliveryQuery& query) {
  DeliveredBatches found;
  std::set<std::string, std::less<>> ids;  // UUIDs of version 7 sort by age
  const auto look_at = [&](const FileRecord& file, const Delivery& delivery) {
    if (!query.has_landing(file.landing)) return;
    switch (metastore::standing_of(file, &delivery)) {
      case Standing::kSuccessful:
        if (!delivery.batch_id.empty()) ids.emplace(delivery.batch_id);
        break;
      case Standing::kInProgress:
      case Standing::kFailed:
      case Standing::kPending:
        found.undelivered.push_back({file.path, reason_of(delivery)});
        break;
      case Standing::kUnrouted:
      case Standing::kQuarantined:
      case Standing::kSuperseded:
      case Standing::kMissing:
        break;  // nobody will deliver them
    }
  };
  using enum metastore::TransferStatus;
  metastore::TransferQuery transfers;
  transfers.destination = query.destination;
  transfers.date.since = query.recorded_since;
  transfers.updated = query.registered;
  for (const auto& statuses : {std::vector{kSuccessful}, std::vector{kInProgress, kFailed}}) {
    transfers.statuses = statuses;
    auto visited = metastore.visit_transfers(transfers, look_at);
    if (!visited) return visited.error();
  }
  found.ids.assign(ids.begin(), ids.end());
  return found;
}

}  // namespace ferry::app
