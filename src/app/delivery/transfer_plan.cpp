#include "app/delivery/transfer_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <set>

#include "app/config/connections.h"
#include "app/config/landing_areas.h"
#include "app/config/routing.h"
#include "app/config/selection.h"
#include "app/config/setup.h"
#include "app/config/state_directory.h"
#include "ferry/base/log.h"

namespace ferry::app {
namespace {

/// Says once, over all runs, that a landing area cannot be read, and that it can be again.
std::function<void(const std::string&, const Error*)> report_landings() {
  struct Absent {
    std::mutex mutex;
    std::set<std::string> landings;
  };
  return [absent = std::make_shared<Absent>()](const std::string& landing, const Error* absence) {
    const std::scoped_lock lock(absent->mutex);
    if (absence != nullptr && absent->landings.insert(landing).second) {
      log::warning("landing area left out",
                   {{"landing", landing},
                    {"reason", absence->message},
                    {"next", "its files stay pending, which costs them no attempt"}});
    } else if (absence == nullptr && absent->landings.erase(landing) > 0) {
      log::info("landing area is back", {{"landing", landing}});
    }
  };
}

/// A single run is one batch unless somebody wants it otherwise: its receiver waits for one control
/// file.
transfer::BatchBounds batch_bounds(const TransferSettings& given, bool follows) {
  transfer::BatchBounds bounds;
  if (follows) bounds = {.files = 10'000, .bytes = 16ULL << 30, .time = std::chrono::minutes(10)};
  if (given.batch_files) bounds.files = static_cast<std::uint64_t>(given.batch_files->value);
  if (given.batch_bytes) bounds.bytes = given.batch_bytes->value;
  if (given.batch_time) bounds.time = *given.batch_time;
  return bounds;
}

Result<transfer::TransferOptions> transfer_options(const Settings& settings,
                                                   transfer::Selection selection, bool follows) {
  const TransferSettings& given = settings.transfer;
  transfer::TransferOptions options;
  options.selection = std::move(selection);
  auto landings = landing_places(settings);
  if (!landings) return landings.error();
  options.landings = std::move(*landings);
  options.on_landing = report_landings();
  options.max_attempts = given.max_attempts.value;
  if (follows) options.rest_after_failure = given.retry_after;
  options.verify = given.verify;
  options.verify_command = given.verify_command.words;
  options.batch = given.batch;
  options.bounds = batch_bounds(given, follows);
  options.files_in_flight = static_cast<std::size_t>(given.files_in_flight.value);
  options.retries.limit = static_cast<unsigned>(given.retries.value);
  options.retries.first_delay = given.retry_delay;
  options.fsync = given.fsync ? transfer::Fsync::kWhereOffered : transfer::Fsync::kNever;
  const StateDirectory state = state_directory(settings);
  options.control_files = state.batches();
  options.journals = state.journals();
  options.servers = state.servers();
  options.spool = given.spool.empty() ? state.spool() : given.spool;
  options.spool_limit = given.spool_limit.value;
  return options;
}

Result<std::vector<transfer::Destination>> resolve_destinations(const Settings& settings) {
  if (settings.destinations.empty()) {
    return make_error(ErrorKind::kInvalid,
                      "no destination: give --to sftp://user@host:port/dir, or "
                      "[destination.NAME] in a configuration file");
  }
  std::vector<transfer::Destination> resolved;
  for (const DestinationSettings& destination : settings.destinations) {
    auto one = resolve_destination(destination, settings.transfer);
    if (!one) return one.error().with_context(fmt::format("destination {}", destination.name));
    resolved.push_back(std::move(*one));
  }
  return resolved;
}

}  // namespace

transfer::TransferOptions TransferPlan::options_for(const std::string& destination) const {
  transfer::TransferOptions result = options;
  const auto& configured = settings.configured_destinations;
  if (std::ranges::find(configured, destination) != configured.end()) {
    result.routes = routes.get();
  }
  return result;
}

metastore::Demand TransferPlan::demand() const {
  metastore::Demand demand = make_demand(settings);
  if (!demand.destinations.empty()) return demand;
  for (const transfer::Destination& destination : destinations) {
    demand.destinations.push_back(destination.name);
  }
  return demand;
}

Outcome<TransferPlan> make_transfer_plan(const Arguments& arguments) {
  auto settings = effective_settings(arguments);
  if (!settings) return fail(settings.error());
  const auto dates = registration_dates(arguments);
  if (!dates) return fail(dates.error());
  if (const auto checked = check_landings(*settings, Presence::kOfAny); !checked) {
    return fail(checked.error());
  }
  return make_transfer_plan(std::move(*settings),
                            {.updated = *dates, .names = arguments.positional},
                            arguments.has("follow"));
}

Outcome<TransferPlan> make_transfer_plan(Settings settings, transfer::Selection selection,
                                         bool follows) {
  auto options = transfer_options(settings, std::move(selection), follows);
  if (!options) return fail(options.error());
  auto destinations = resolve_destinations(settings);
  if (!destinations) return fail(destinations.error());
  auto routes = make_routes(settings);
  options->routes = routes.get();
  auto spool = transfer::open_spool(*options);
  options->routes = nullptr;
  if (!spool) return fail(spool.error());
  options->shared_spool = std::move(*spool);
  return TransferPlan{std::move(settings), std::move(*options), std::move(*destinations),
                      std::move(routes)};
}

}  // namespace ferry::app
