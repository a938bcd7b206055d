#include <systemd/sd-daemon.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "app/command.h"
#include "app/output.h"
#include "app/setup.h"
#include "app/units.h"
#include "ferry/base/log.h"
#include "ferry/landing/watch.h"

namespace ferry::app {
namespace {

landing::WatchOptions watch_options(const Settings& settings, bool once) {
  landing::WatchOptions options;
  for (const LandingSettings& landing : settings.landings) {
    options.areas.push_back({landing.name, landing.path, landing.ignore, landing.settle});
  }
  options.rescan_interval = settings.watch.rescan_interval;
  options.poll_interval = settings.watch.poll_interval;
  options.hash_threads = settings.watch.hash_threads;
  options.once = once;
  return options;
}

/// sd_notify(3) does nothing where no service manager listens.
landing::WatchHooks service_manager_hooks() {
  landing::WatchHooks hooks;
  hooks.on_ready = [] {
    log::info("ready");
    ::sd_notify(0, "READY=1");
  };
  hooks.on_alive = [] { ::sd_notify(0, "WATCHDOG=1"); };
  std::uint64_t watchdog_usec = 0;
  if (::sd_watchdog_enabled(0, &watchdog_usec) > 0) {
    const auto half = std::chrono::milliseconds(static_cast<std::int64_t>(watchdog_usec / 2000));
    hooks.alive_interval = std::clamp(half, std::chrono::milliseconds(1), hooks.alive_interval);
  }
  return hooks;
}

void print_summary(const landing::WatchSummary& summary, bool as_json) {
  if (as_json) {
    print_json({{"registered", summary.registered},
                {"bytes", summary.bytes},
                {"unsettled", summary.unsettled},
                {"failed", summary.failed}});
    return;
  }
  print(fmt::format("registered {} files ({} hashed)", summary.registered,
                    human_size(static_cast<double>(summary.bytes))));
  if (summary.unsettled > 0) print(fmt::format(", {} still being written", summary.unsettled));
  if (summary.failed > 0) print(fmt::format(", {} unreadable", summary.failed));
  print("\n");
}

Outcome<ExitStatus> run_watch(const Invocation& invocation) {
  const auto settings = effective_settings(invocation.arguments);
  if (!settings) return fail(settings.error());
  if (const auto checked = check_landings(*settings); !checked) return fail(checked.error());
  auto store = open_store(*settings, Access::kWrite);
  if (!store) return std::unexpected(store.error());

  const bool once = invocation.arguments.has("once");
  const auto watched = landing::watch(**store, watch_options(*settings, once),
                                      service_manager_hooks(), invocation.stop);
  ::sd_notify(0, "STOPPING=1");
  if (!watched) {
    const ErrorKind kind = watched.error().kind;
    const bool area =
        kind == ErrorKind::kNotFound || kind == ErrorKind::kDenied || kind == ErrorKind::kInvalid;
    return fail(watched.error(), area ? Origin::kLocal : Origin::kMetastore);
  }
  if (!once) return ExitStatus::kDone;
  print_summary(*watched, invocation.arguments.has("json"));
  if (invocation.stop.stop_requested()) return ExitStatus::kInterrupted;
  return watched->failed > 0 ? ExitStatus::kSomeFailed : ExitStatus::kDone;
}

}  // namespace

Command watch_command() {
  return {.name = "watch",
          .bit = kWatchBit,
          .summary = "register files as they land",
          .positional = "",
          .description =
              "Watches landing areas and enters every file that is complete into the metastore,\n"
              "with its checksum. Runs until SIGTERM or SIGINT, which end it cleanly.",
          .flags = {{"once", "", "register what is there, then end"},
                    {"json", "", "with --once: print the summary as JSON"}},
          .exits = {ExitStatus::kDone, ExitStatus::kSomeFailed, ExitStatus::kUsage,
                    ExitStatus::kMetastore, ExitStatus::kInterrupted},
          .run = &run_watch};
}

}  // namespace ferry::app
