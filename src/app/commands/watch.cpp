#include <algorithm>
#include "ferry/base/json.h"

#include "app/commands/command.h"
#include "app/commands/watching.h"
#include "app/commands/whole.h"
#include "app/config/landing_areas.h"
#include "app/config/open_store.h"
#include "app/config/setup.h"
#include "app/config/state_directory.h"
#include "app/output.h"
#include "app/service_manager.h"
#include "ferry/base/log.h"
#include "ferry/base/units.h"
#include "ferry/landing/upload.h"
#include "ferry/landing/watch.h"

namespace ferry::app {
namespace {

landing::WatchHooks service_manager_hooks() {
  landing::WatchHooks hooks;
  hooks.on_ready = [] {
    log::info("ready");
    service_manager::tell_ready();
  };
  hooks.on_alive = &service_manager::tell_alive;
  if (const auto interval = service_manager::watchdog_interval()) {
    hooks.alive_interval =
        std::clamp(*interval / 2, std::chrono::milliseconds(1), hooks.alive_interval);
  }
  return hooks;
}

void print_summary(const landing::WatchSummary& summary, bool as_json) {
  if (as_json) {
    print_json(to_json(summary));
    return;
  }
  print(fmt::format("registered {} files ({} hashed)", summary.registered,
                    human_size(static_cast<double>(summary.bytes))));
  if (summary.quarantined > 0) print(fmt::format(", {} quarantined", summary.quarantined));
  if (summary.unsettled > 0) print(fmt::format(", {} not settled", summary.unsettled));
  if (summary.failed > 0) print(fmt::format(", {} unreadable", summary.failed));
  print("\n" + to_text(summary.ignored));
}

/// What the configuration says about watching.
struct Plan {
  landing::WatchOptions options;
  fs::path uploads;
  std::unique_ptr<metastore::Metastore> store;
};

Outcome<Plan> make_plan(const Arguments& arguments) {
  const auto settings = effective_settings(arguments);
  if (!settings) return fail(settings.error());
  if (const auto checked = check_landings(*settings); !checked) return fail(checked.error());
  auto options = watch_options(*settings, arguments.has("once"));
  if (!options) return fail(options.error());
  auto store = open_store_to_work(*settings, Access::kCreate);
  if (!store) return std::unexpected(store.error());
  return Plan{std::move(*options), state_directory(*settings).uploads(), std::move(*store)};
}

/// Where the new configuration is of no use, the previous one stays in effect.
void reload(const Arguments& arguments, landing::Watcher& watcher, Plan& plan) {
  service_manager::tell_reloading();
  auto next = make_plan(arguments);
  const Result<void> changed = next ? watcher.change(next->options) : next.error().error;
  if (!changed) {
    log::error("configuration not reloaded",
               {{"error", changed.error().message}, {"next", "the previous one stays in effect"}});
    return;
  }
  plan = std::move(*next);
  log::info("configuration reloaded", {{"landing_areas", plan.options.areas.size()}});
}

Outcome<landing::WatchSummary> watch_until_stopped(const Invocation& invocation, Plan& plan,
                                                   landing::Watcher& watcher) {
  const landing::WatchHooks hooks = service_manager_hooks();
  ReloadRequest& hangup = invocation.reload_request();
  for (;;) {
    auto watched = watcher.run(*plan.store, hooks, invocation.stop, hangup);
    if (!watched || invocation.stop.stop_requested() || !hangup.take()) return watched;
    reload(invocation.arguments, watcher, plan);
  }
}

}  // namespace

Outcome<ExitStatus> run_watch(const Invocation& invocation) {
  auto plan = make_plan(invocation.arguments);
  if (!plan) return std::unexpected(plan.error());
  const auto watcher = landing::open_watcher(plan->options);
  if (!watcher) return fail(watcher.error());
  const auto recovered =
      landing::recover_uploads(*plan->store, plan->options.areas, plan->uploads, invocation.stop);
  if (!recovered) return fail(recovered.error(), Origin::kMetastore);
  const auto watched = watch_until_stopped(invocation, *plan, **watcher);
  service_manager::tell_stopping();
  if (!watched) return std::unexpected(watched.error());
  if (!plan->options.once) return ExitStatus::kDone;
  print_summary(*watched, invocation.arguments.has("json"));
  if (invocation.stop.stop_requested()) return ExitStatus::kInterrupted;
  return watched->failed > 0 ? ExitStatus::kSomeFailed : ExitStatus::kDone;
}

Command watch_command() {
  return {
      .name = "watch",
      .bit = kWatchBit,
      .summary = "register files as they land",
      .positional = "",
      .description =
          "Watches landing areas and enters every file that is complete into the metastore,\n"
          "with its checksum. Runs until SIGTERM or SIGINT, which end it cleanly. SIGHUP reads\n"
          "the configuration again: areas come, go and change without a file being missed, and\n"
          "a configuration with mistakes changes nothing.",
      .flags = {{"once", "", "register what is there, then end"},
                {"json", "", "with --once: print the summary as JSON"}},
      .exits = {{ExitStatus::kDone,
                 "stopped, or with --once: all is registered, but for files that are still being "
                 "written"},
                {ExitStatus::kSomeFailed,
                 "with --once: some files, or a directory on a server, could not be read"},
                {ExitStatus::kUsage},
                {ExitStatus::kDestination,
                 "with --once: a landing area's server is unreachable or refused us"},
                {ExitStatus::kMetastore},
                {ExitStatus::kInterrupted, "with --once: interrupted"}},
      .run = &run_watch};
}

}  // namespace ferry::app
