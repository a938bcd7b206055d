#include "app/transfer_run.h"

#include <unistd.h>

#include <algorithm>

#include "app/abnormal_sources.h"
#include "app/progress.h"
#include "app/run_deadline.h"
#include "app/setup.h"
#include "app/units.h"
#include "ferry/base/log.h"
#include "ferry/transfer/after_delivery.h"

namespace ferry::app {
namespace {

std::unique_ptr<transfer::Observer> make_observer(const Settings& settings,
                                                  const std::string& destination) {
  const bool terminal = ::isatty(STDERR_FILENO) != 0;
  if (terminal && settings.log.format == log::Format::kText) {
    return make_bar_observer(destination, stderr);
  }
  return make_log_observer(destination);
}

/// One destination's trouble does not keep the others from their files.
std::vector<TransferEnding> run_all(metastore::Metastore& store, const TransferPlan& plan,
                                    StopToken& stop) {
  std::vector<TransferEnding> endings;
  for (const transfer::Destination& destination : plan.destinations) {
    if (stop.stop_requested()) break;
    endings.push_back(deliver_to(destination, store, plan, stop));
    const auto& error = endings.back().error;
    if (error && plan.destinations.size() > 1) {
      log::error("transfer failed", {{"destination", destination.name},
                                     {"kind", to_string(error->kind)},
                                     {"error", error->message}});
    }
  }
  return endings;
}

bool was_cut_short(const std::vector<TransferEnding>& endings, std::size_t destinations) {
  return endings.size() < destinations ||
         std::ranges::any_of(
             endings,
             [](const TransferEnding& ending) {
               return ending.error && ending.error->kind == ErrorKind::kCancelled;
             });
}

}  // namespace

TransferEnding deliver_to(const transfer::Destination& destination, metastore::Metastore& store,
                          const TransferPlan& plan, StopToken& stop) {
  auto areas = landing_areas(plan.settings);
  if (!areas) return {destination.name, {}, areas.error()};
  const auto observer = make_observer(plan.settings, destination.name);
  transfer::TransferOptions options = plan.options_for(destination.name);
  options.on_abnormal = quarantine_abnormal_sources(store, std::move(*areas));
  auto summary = transfer::deliver(store, destination, options, *observer, stop);
  if (!summary) return {destination.name, {}, summary.error()};
  return {destination.name, std::move(*summary), std::nullopt};
}

void settle_sources(metastore::Metastore& store, const TransferPlan& plan, StopToken& stop) {
  if (!plan.routes) return;
  const auto settled = transfer::settle_sources(store, *plan.routes, plan.options.landings,
                                                plan.options.remote_landings, stop);
  if (!settled) {
    log::warning("delivered files not archived or deleted", {{"error", settled.error().message}});
  }
}

Outcome<ExitStatus> deliver_once(const TransferPlan& plan, metastore::Metastore& store,
                                 const Invocation& invocation, ExitStatus idle) {
  const RunDeadline deadline(plan.settings.transfer.deadline, invocation.stop);
  const auto endings = run_all(store, plan, invocation.stop);
  settle_sources(store, plan, invocation.stop);
  print_endings(endings, invocation.arguments.has("json"));
  if (deadline.has_passed() && was_cut_short(endings, plan.destinations.size())) {
    log::error("the deadline has passed, what is not delivered stays pending",
               {{"deadline", human_duration(plan.settings.transfer.deadline)}});
    return ExitStatus::kSomeFailed;
  }
  if (endings.size() == 1 && endings.front().error) {
    return fail(*endings.front().error, Origin::kDestination);
  }
  if (invocation.stop.stop_requested()) return ExitStatus::kInterrupted;
  return status_of(endings, idle);
}

}  // namespace ferry::app
