#include "app/standings.h"

namespace ferry::app {
namespace {

using metastore::Delivery;
using metastore::FileRecord;

void show(const FileRecord& file, std::string_view destination, const Delivery* delivery,
          const StandingVisitor& visitor) {
  visitor({file, destination, delivery, metastore::standing_of(file, delivery)});
}

}  // namespace

Result<void> visit_standings(metastore::Metastore& metastore,
                             const std::vector<std::string>& destinations,
                             const StandingVisitor& visitor) {
  return metastore.visit([&](const FileRecord& file, std::span<const Delivery> deliveries) {
    if (!destinations.empty()) {
      for (const std::string& destination : destinations) {
        show(file, destination, metastore::find_delivery(deliveries, destination), visitor);
      }
      return;
    }
    if (deliveries.empty()) show(file, "", nullptr, visitor);
    for (const Delivery& delivery : deliveries) {
      show(file, delivery.destination, &delivery, visitor);
    }
  });
}

std::string_view reason_of(const StandingRow& row) {
  using enum metastore::Standing;
  if (row.standing == kFailed && row.delivery != nullptr) return row.delivery->error_message;
  if (row.standing == kSuccessful || row.standing == kInProgress) return "";
  return row.file.reason;
}

}  // namespace ferry::app
