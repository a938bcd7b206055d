#include "app/report/standings.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "app/config/landing_areas.h"
#include "app/config/placement.h"
#include "app/config/routing.h"
#include "app/config/secrets.h"
#include "app/config/text.h"

namespace ferry::app {
namespace {

using metastore::Delivery;
using metastore::FileRecord;

using metastore::Standing;

/// Shows what there is to show of one file.
class Row {
 public:
  Row(const FileRecord& file, std::span<const Delivery> deliveries, const StandingQuery& query,
      const StandingVisitor& visitor)
      : file_(file), deliveries_(deliveries), query_(query), visitor_(visitor) {}

  void show() const { query_.destinations.empty() ? show_logged() : show_wanted(); }

 private:
  void show_logged() const {
    if (deliveries_.empty()) show("", nullptr);
    for (const Delivery& delivery : deliveries_) show(delivery.destination, &delivery);
  }

  void show_wanted() const {
    std::vector<std::string_view> wanted(query_.destinations.begin(), query_.destinations.end());
    if (query_.routes) wanted = query_.routes->wanted_by(file_.landing, file_.path);
    bool shown = false;
    for (const std::string& destination : query_.destinations) {
      const auto* delivery = metastore::find_delivery(deliveries_, destination);
      const bool is_there =
          delivery != nullptr && delivery->status == metastore::TransferStatus::kSuccessful;
      if (!is_there && std::ranges::find(wanted, destination) == wanted.end()) continue;
      show(destination, delivery);
      shown = true;
    }
    if (!shown && query_.with_unrouted) show_unrouted();
  }

  void show(std::string_view destination, const Delivery* delivery) const {
    StandingRow row{file_, destination, delivery, metastore::standing_of(file_, delivery)};
    const bool is_open = row.standing == Standing::kPending || row.standing == Standing::kFailed;
    if (is_open && query_.has_several_areas && file_.landing.empty()) {
      row.standing = Standing::kUnrouted;
      row.in_no_area = true;
    } else if (row.standing == Standing::kFailed) {
      row.given_up = !metastore::is_deliverable(file_, delivery, query_.max_attempts);
    }
    visitor_(row);
  }

  /// What became of a file outweighs that nobody wants it.
  void show_unrouted() const {
    const Standing standing = metastore::standing_of(file_, nullptr);
    visitor_({file_, "", nullptr, standing == Standing::kPending ? Standing::kUnrouted : standing});
  }

  const FileRecord& file_;
  std::span<const Delivery> deliveries_;
  const StandingQuery& query_;
  const StandingVisitor& visitor_;
};

}  // namespace

StandingQuery standing_query(const Settings& settings, const std::optional<std::string>& only) {
  const auto& configured = settings.configured_destinations;
  StandingQuery query;
  query.destinations = only ? std::vector{*only} : configured;
  // One that is not configured, as --to may name it, wants every file.
  const bool is_known = !only || std::ranges::find(configured, *only) != configured.end();
  if (is_known) query.routes = make_routes(settings);
  query.with_unrouted = !only;
  query.max_attempts = settings.transfer.max_attempts.value;
  query.has_several_areas = settings.landings.size() > 1;
  query.files.destination = only.value_or("");
  return query;
}

Result<void> check_destination(metastore::Metastore& metastore, const Settings& settings,
                               const std::optional<std::string>& destination) {
  const auto& configured = settings.configured_destinations;
  if (!destination || std::ranges::find(configured, *destination) != configured.end()) return {};
  const auto logged = metastore.logged_destinations();
  if (!logged) return logged.error();
  std::set<std::string> known(logged->begin(), logged->end());
  if (known.contains(*destination)) return {};
  known.insert(configured.begin(), configured.end());
  known.erase("");
  const std::vector<std::string_view> names(known.begin(), known.end());
  if (names.empty()) {
    return make_error(ErrorKind::kInvalid,
                      "no destination '{}': neither the configuration nor the log has one",
                      without_password(*destination));
  }
  return make_error(ErrorKind::kInvalid, "no destination '{}', only {}{}",
                    without_password(*destination), fmt::join(names, ", "),
                    suggestion(*destination, names));
}

Result<void> visit_standings(metastore::Metastore& metastore, const StandingQuery& query,
                             const StandingVisitor& visitor) {
  return metastore.visit(query.files,
                         [&](const FileRecord& file, std::span<const Delivery> deliveries) {
                           Row(file, deliveries, query, visitor).show();
                         });
}

Result<bool> has_any(metastore::Metastore& metastore, metastore::FileQuery query) {
  bool any = false;
  query.limit = 1;
  const auto visited = metastore.visit(query, [&](const FileRecord&, const auto&) { any = true; });
  if (!visited) return visited.error();
  return any;
}

Result<std::uint64_t> count_in_unknown_areas(metastore::Metastore& metastore,
                                             const Settings& settings) {
  // Whoever names areas on the command line may know of no others.
  const auto is_configured = [](const LandingSettings& area) {
    return area.name != place_of(area);
  };
  if (settings.landings.empty() || settings.landings.size() != settings.configured_landings ||
      !std::ranges::all_of(settings.landings, is_configured)) {
    return 0;
  }
  const auto known = landing_labels(settings);
  std::uint64_t files = 0;
  const metastore::FileQuery pending{.latest_versions = true, .standings = {Standing::kPending}};
  const auto visited = metastore.visit(pending, [&](const FileRecord& file, const auto&) {
    if (!file.landing.empty() && !known.contains(file.landing)) ++files;
  });
  if (!visited) return visited.error();
  return files;
}

Result<std::uint64_t> count_in_no_area(metastore::Metastore& metastore, const Settings& settings,
                                       const TimeRange& updated) {
  if (settings.landings.size() < 2) return 0;
  StandingQuery query = standing_query(settings, std::nullopt);
  query.files.landings = {""};
  query.files.latest_versions = true;
  query.files.updated = updated;
  std::set<std::string> ids;
  const auto visited = visit_standings(metastore, query, [&](const StandingRow& row) {
    if (row.in_no_area) ids.insert(row.file.id);
  });
  if (!visited) return visited.error();
  return ids.size();
}

std::string reason_of(const StandingRow& row) {
  using enum metastore::Standing;
  if (row.standing == kFailed && row.delivery != nullptr) {
    std::string message(row.delivery->error_message);
    if (!row.given_up) return message;
    return fmt::format("given up after {} attempts: {}", row.delivery->attempt, message);
  }
  if (row.standing == kSuccessful || row.standing == kInProgress) return "";
  if (row.in_no_area) {
    return "its row names no landing area, and there are several: append the row with 'landing'";
  }
  if (row.standing == kUnrouted) return "no route takes it";
  return row.file.reason;
}

}  // namespace ferry::app
