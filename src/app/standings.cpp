#include "app/standings.h"

#include <algorithm>

#include "app/routing.h"

namespace ferry::app {
namespace {

using metastore::Delivery;
using metastore::FileRecord;

using metastore::Standing;

/// Shows what there is to show of one file.
class Row {
 public:
  Row(const FileRecord& file, std::span<const Delivery> deliveries, const StandingVisitor& visitor)
      : file_(file), deliveries_(deliveries), visitor_(visitor) {}

  void show(std::string_view destination, const Delivery* delivery) const {
    visitor_({file_, destination, delivery, metastore::standing_of(file_, delivery)});
  }

  void show_logged() const {
    if (deliveries_.empty()) show("", nullptr);
    for (const Delivery& delivery : deliveries_) show(delivery.destination, &delivery);
  }

  void show_wanted(const StandingQuery& query) const {
    std::vector<std::string_view> wanted(query.destinations.begin(), query.destinations.end());
    if (query.routes) wanted = query.routes->wanted_by(file_.landing, file_.path);
    bool shown = false;
    for (const std::string& destination : query.destinations) {
      const auto* delivery = metastore::find_delivery(deliveries_, destination);
      const bool is_there =
          delivery != nullptr && delivery->status == metastore::TransferStatus::kSuccessful;
      if (!is_there && std::ranges::find(wanted, destination) == wanted.end()) continue;
      show(destination, delivery);
      shown = true;
    }
    if (!shown && query.with_unrouted) show_unrouted();
  }

 private:
  /// What became of a file outweighs that nobody wants it.
  void show_unrouted() const {
    const Standing standing = metastore::standing_of(file_, nullptr);
    visitor_({file_, "", nullptr, standing == Standing::kPending ? Standing::kUnrouted : standing});
  }

  const FileRecord& file_;
  std::span<const Delivery> deliveries_;
  const StandingVisitor& visitor_;
};

}  // namespace

StandingQuery standing_query(const Settings& settings, const std::optional<std::string>& only) {
  if (only) return {{*only}, make_routes(settings), false};
  return {settings.configured_destinations, make_routes(settings), true};
}

Result<void> visit_standings(metastore::Metastore& metastore, const StandingQuery& query,
                             const StandingVisitor& visitor) {
  return metastore.visit([&](const FileRecord& file, std::span<const Delivery> deliveries) {
    const Row row(file, deliveries, visitor);
    if (query.destinations.empty()) {
      row.show_logged();
    } else {
      row.show_wanted(query);
    }
  });
}

std::string_view reason_of(const StandingRow& row) {
  using enum metastore::Standing;
  if (row.standing == kFailed && row.delivery != nullptr) return row.delivery->error_message;
  if (row.standing == kSuccessful || row.standing == kInProgress) return "";
  if (row.standing == kUnrouted) return "no route takes it";
  return row.file.reason;
}

}  // namespace ferry::app
