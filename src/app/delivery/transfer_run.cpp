#include "app/delivery/transfer_run.h"

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "app/config/landing_areas.h"
#include "app/config/open_store.h"
#include "app/config/state_directory.h"
#include "app/delivery/abnormal_sources.h"
#include "app/delivery/outage_report.h"
#include "app/delivery/run_deadline.h"
#include "app/output.h"
#include "app/report/progress.h"
#include "app/report/standings.h"
#include "ferry/base/log.h"
#include "ferry/base/units.h"
#include "ferry/base/writers.h"
#include "ferry/transfer/after_delivery.h"

namespace ferry::app {
namespace {

TransferEnding deliver_to(const transfer::Destination& destination, metastore::Metastore& store,
                          const TransferPlan& plan, CountingObserver& observer, StopToken& stop) {
  const auto options = agent_options(destination, store, plan);
  if (!options) return {destination.name, {}, Failure{Origin::kLocal, options.error()}};
  auto summary = transfer::deliver(store, destination, *options, observer, stop);
  if (!summary) return {destination.name, {}, summary.error()};
  TransferEnding ending{.destination = destination.name,
                        .summary = std::move(*summary),
                        .failure = {},
                        .sent = observer.sent()};
  const auto left_out = find_left_out(destination.name, store, plan);
  if (!left_out) {
    ending.failure = {Origin::kMetastore, left_out.error()};
  } else {
    ending.left_out = *left_out;
  }
  if (ending.summary.selected > 0) return ending;
  const auto totals = store.totals(destination.name);
  if (!totals) {
    ending.failure = {Origin::kMetastore, totals.error()};
  } else {
    ending.elsewhere = (*totals)[metastore::Standing::kInProgress].files;
  }
  return ending;
}

/// Each destination has an agent, and a thread, of its own: none waits for another.
std::vector<TransferEnding> run_all(metastore::Metastore& store, const TransferPlan& plan,
                                    StopToken& stop) {
  const bool is_alone = plan.destinations.size() == 1;
  const auto observers =
      make_observers(plan.settings.log.format, state_directory(plan.settings).agents());
  std::vector<TransferEnding> endings(plan.destinations.size());
  std::vector<std::jthread> agents;
  for (std::size_t i = 0; i < endings.size(); ++i) {
    agents.emplace_back([&, i] {
      const transfer::Destination& destination = plan.destinations[i];
      const auto observer = observers(destination.name);
      endings[i] = deliver_to(destination, store, plan, *observer, stop);
      note_outage(endings[i], plan.settings);
      const auto& failure = endings[i].failure;
      if (failure && !is_alone) {
        log::error("transfer failed", {{"destination", destination.name},
                                       {"kind", to_string(failure->error.kind)},
                                       {"error", failure->error.message}});
      }
    });
  }
  agents.clear();
  return endings;
}

bool was_stopped(const TransferEnding& ending) {
  return ending.summary.was_stopped;
}

std::uint64_t delivered_files(const std::vector<TransferEnding>& endings) {
  std::uint64_t files = 0;
  for (const TransferEnding& ending : endings) {
    files += ending.summary.successful + ending.summary.unlisted;
  }
  return files;
}

bool had_nothing_to_do(const std::vector<TransferEnding>& endings) {
  return std::ranges::all_of(endings, [](const TransferEnding& ending) {
    return !ending.failure && !was_stopped(ending) && ending.summary.selected == 0;
  });
}

/// Of what was asked for by name.
Result<LeftOut> find_not_yet(const std::string& destination, metastore::Metastore& store,
                             const transfer::TransferOptions& options) {
  LeftOut left_out;
  metastore::FileQuery query;
  query.names = options.selection.names;
  query.destination = destination;
  query.updated = options.selection.updated;
  const auto visited = store.visit(query, [&](const metastore::FileRecord& file,
                                              std::span<const metastore::Delivery> deliveries) {
    const bool is_wanted = options.routes == nullptr ||
                           options.routes->find(file.landing, file.path, destination) != nullptr;
    const auto standing =
        metastore::standing_of(file, metastore::find_delivery(deliveries, destination));
    const bool is_open =
        standing == metastore::Standing::kPending || standing == metastore::Standing::kInProgress;
    if (is_wanted && is_open && file.state == metastore::FileState::kReady) ++left_out.not_yet;
  });
  if (!visited) return visited.error();
  return left_out;
}

bool is_empty(metastore::Metastore& store) {
  const auto any = has_any(store, {});
  return any && !*any;
}

}  // namespace

Result<LeftOut> find_left_out(const std::string& destination, metastore::Metastore& store,
                              const TransferPlan& plan) {
  const transfer::TransferOptions options = plan.options_for(destination);
  LeftOut left_out;
  if (!options.selection.names.empty()) return find_not_yet(destination, store, options);
  StandingQuery query = standing_query(plan.settings, destination);
  if (options.routes == nullptr) query.routes = nullptr;
  query.files.standings = {metastore::Standing::kFailed};
  query.files.updated = options.selection.updated;
  const auto visited = visit_standings(store, query, [&](const StandingRow& row) {
    if (row.given_up && options.landings.contains(row.file.landing)) ++left_out.given_up;
  });
  if (!visited) return visited.error();
  const auto in_no_area = count_in_no_area(store, plan.settings, options.selection.updated);
  if (!in_no_area) return in_no_area.error();
  left_out.in_no_area = *in_no_area;
  return left_out;
}

Result<transfer::TransferOptions> agent_options(const transfer::Destination& destination,
                                                metastore::Metastore& store,
                                                const TransferPlan& plan) {
  auto areas = landing_areas(plan.settings);
  if (!areas) return areas.error();
  transfer::TransferOptions options = plan.options_for(destination.name);
  options.on_abnormal = quarantine_abnormal_sources(store, std::move(*areas));
  return options;
}

void tell_of_left_out(const TransferEnding& ending) {
  const auto tell = [&](std::string_view event, std::uint64_t files, std::string_view next) {
    if (files == 0) return;
    log::warning(event, {{"destination", ending.destination}, {"files", files}, {"next", next}});
  };
  tell("files given up", ending.left_out.given_up, kAboutGivenUp);
  tell("files in no landing area", ending.left_out.in_no_area,
       "'ferry list --status unrouted' says why");
}

Result<Untaken> take_sources_away(metastore::Metastore& store, const TransferPlan& plan,
                                  StopToken& stop) {
  if (!plan.routes) return Untaken{};
  const transfer::TakeSourcesOptions options{.landings = plan.options.landings,
                                             .intents = state_directory(plan.settings).taking()};
  const auto taken = transfer::take_sources_away(store, *plan.routes, options, stop);
  if (!taken) return taken.error();
  if (stop.stop_requested()) return Untaken{};  // what was not begun has not failed
  Untaken untaken{.files = taken->failed,
                  .path = taken->failed_path,
                  .message = taken->failure,
                  .since = now()};
  const auto noted = write_untaken(state_directory(plan.settings).untaken(), untaken);
  if (!noted) log::warning("note not written", {{"error", noted.error().message}});
  return untaken;
}

DeliveredRun deliver_all(const TransferPlan& plan, metastore::Metastore& store, StopToken& stop) {
  const LeaseSignalGuard lease_signals;  // of sources that are looked at
  const RunDeadline deadline(plan.settings.transfer.deadline, stop);
  DeliveredRun run{.endings = run_all(store, plan, stop)};
  if (const auto untaken = take_sources_away(store, plan, stop)) {
    run.untaken = *untaken;
  } else {
    run.taking_error = untaken.error();
    log::warning("delivered files not archived or deleted", {{"error", untaken.error().message}});
  }
  std::ranges::for_each(run.endings, &tell_of_left_out);
  run.has_passed_deadline = deadline.has_passed();
  run.was_interrupted = stop.stop_requested() && !run.has_passed_deadline;
  return run;
}

Outcome<ExitStatus> status_of(const DeliveredRun& run, const TransferPlan& plan, ExitStatus idle) {
  const auto& endings = run.endings;
  // Also if it came before anything was taken: nobody knows what was left.
  if (run.has_passed_deadline) {
    log::error(
        "the deadline has passed: what is not delivered stays pending, and what is not archived or "
        "deleted stays where it is",
        {{"deadline", human_duration(plan.settings.transfer.deadline)}});
    return ExitStatus::kSomeFailed;
  }
  if (std::ranges::any_of(endings, &was_stopped)) {
    return fail(make_error(ErrorKind::kCancelled,
                           "stopped: {} files were delivered, the others stay pending",
                           delivered_files(endings)));
  }
  if (endings.size() == 1 && endings.front().failure) {
    return std::unexpected(*endings.front().failure);
  }
  if (run.was_interrupted) return ExitStatus::kInterrupted;
  ExitStatus status = status_of(endings, idle);
  if (run.taking_error) {
    status = worse_of(status, exit_status_for({Origin::kMetastore, *run.taking_error}));
  }
  return run.untaken.files > 0 ? worse_of(status, ExitStatus::kSomeFailed) : status;
}

Outcome<ExitStatus> deliver_once(const TransferPlan& plan, metastore::Metastore& store,
                                 const Invocation& invocation, ExitStatus idle) {
  const DeliveredRun run = deliver_all(plan, store, invocation.stop);
  const bool as_json = invocation.arguments.has("json");
  print_endings(run.endings, run.untaken, as_json);
  if (!as_json && had_nothing_to_do(run.endings) && is_empty(store)) {
    print(fmt::format("nothing is registered yet: '{}' registers what lies in the landing area\n",
                      registering_command(invocation.arguments)));
  }
  return status_of(run, plan, idle);
}

}  // namespace ferry::app
