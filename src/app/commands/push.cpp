#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <thread>

#include "app/commands/command.h"
#include "app/commands/watching.h"
#include "app/config/landing_areas.h"
#include "app/config/open_store.h"
#include "app/config/placement.h"
#include "app/config/setup.h"
#include "app/delivery/pushed_paths.h"
#include "app/delivery/transfer_following.h"
#include "app/delivery/transfer_plan.h"
#include "app/delivery/transfer_run.h"
#include "app/output.h"
#include "app/terminal_person.h"
#include "ferry/base/json.h"

namespace ferry::app {
namespace {

struct Push {
  Settings configured;
  TransferPlan plan;  // its landing areas are those of the paths
  landing::WatchOptions watched;
  std::unique_ptr<metastore::Metastore> store;
};

bool has_parts(const std::vector<LandingSettings>& areas) {
  return std::ranges::any_of(areas, [](const auto& area) { return area.only.has_value(); });
}

Result<void> check_directory(Settings settings, LandingSettings area, const fs::path& directory) {
  area.path = directory;
  settings.landings = {std::move(area)};
  return check_landings(settings);
}

/// Each directory for itself: those that lie in one another are taken as they are given. What lies
/// beside single files does not matter.
Result<void> check_areas(const Settings& settings) {
  for (const LandingSettings& area : settings.landings) {
    const std::vector<std::string> whole{""};
    for (const std::string& part : area.only ? area.only->directories : whole) {
      const fs::path directory = part.empty() ? area.path : area.path / part;
      if (auto checked = check_directory(settings, area, directory); !checked) return checked;
    }
  }
  return {};
}

/// Without a route that names them otherwise files of several directories get their own names: the
/// second of one name would wait, and replace the first when it is pushed again.
Result<void> check_names_differ(const Settings& settings) {
  if (!settings.routes.empty()) return {};
  std::map<std::string, std::string> directories;  // by the name that a file gets
  for (const LandingSettings& area : settings.landings) {
    if (!area.only) continue;
    for (const std::string& file : area.only->files) {
      const auto [first, is_new] = directories.emplace(file, place_of(area));
      if (is_new || first->second == place_of(area)) continue;
      return make_error(ErrorKind::kInvalid,
                        "{0} of {1} and of {2}: both would be {0} at the destination; push them "
                        "to different directories, or write a route that gives one another name",
                        file, first->second, place_of(area));
    }
  }
  return {};
}

Outcome<Push> make_push(const Arguments& arguments, const StopToken& stop) {
  const bool goes_on = arguments.has("watch");
  auto settings = effective_settings(arguments);
  if (!settings) return fail(settings.error());
  const auto model = landing_by_flags(arguments);
  if (!model) return fail(model.error());
  auto areas = areas_of_paths(*settings, *model, arguments.positional);
  if (!areas) return fail(areas.error());
  if (goes_on && arguments.has("deadline")) {
    return fail(
        make_error(ErrorKind::kInvalid, "--deadline is for runs that end: not with --watch"));
  }
  if (goes_on && has_parts(*areas)) {
    return fail(make_error(ErrorKind::kInvalid,
                           "--watch goes on with whole directories: name landing areas, and no "
                           "files or parts of them"));
  }
  const Settings configured = *settings;
  settings->landings = std::move(*areas);
  if (const auto checked = check_areas(*settings); !checked) return fail(checked.error());
  if (const auto checked = check_names_differ(*settings); !checked) return fail(checked.error());
  auto watched = watch_options(*settings, !goes_on);
  if (!watched) return fail(watched.error());
  ask_at_terminal(stop);
  auto plan = make_transfer_plan(std::move(*settings), {}, goes_on);
  if (!plan) return std::unexpected(plan.error());
  // It answers as the configuration has it, whatever is pushed.
  auto store = open_store_to_work(configured, Access::kCreate);
  if (!store) return std::unexpected(store.error());
  plan->options.landings.erase("");  // rows that name no area may be anybody's
  return Push{configured, std::move(*plan), std::move(*watched), std::move(*store)};
}

/// Files that were pushed, and that no destination has got though nothing went wrong.
struct Waiting {
  std::uint64_t unrouted = 0;
  std::uint64_t not_yet = 0;    // for some destination: min_age or delay of a route
  std::uint64_t elsewhere = 0;  // for some destination: another run has it, or an older version
  std::uint64_t gone = 0;       // named, and not there any more
};

/// If nothing but files is named: how many.
std::uint64_t count_named(const std::vector<LandingSettings>& areas) {
  std::uint64_t named = 0;
  for (const LandingSettings& area : areas) {
    if (!area.only || !area.only->directories.empty()) return 0;
    named += std::set(area.only->files.begin(), area.only->files.end()).size();
  }
  return named;
}

Result<Waiting> find_waiting(metastore::Metastore& store, const TransferPlan& plan,
                             const landing::WatchSummary& registered) {
  Waiting waiting;
  std::vector<std::pair<std::string, const transfer::Routes*>> destinations;
  for (const transfer::Destination& destination : plan.destinations) {
    destinations.emplace_back(destination.name, plan.options_for(destination.name).routes);
  }
  std::uint64_t seen = 0;
  const auto look = [&](const metastore::FileRecord& file,
                        std::span<const metastore::Delivery> deliveries) {
    bool is_wanted = false;
    bool waits = false;
    bool is_elsewhere = false;
    for (const auto& [name, routes] : destinations) {
      if (routes != nullptr && routes->find(file.landing, file.path, name) == nullptr) continue;
      is_wanted = true;
      const auto* delivery = metastore::find_delivery(deliveries, name);
      const auto standing = metastore::standing_of(file, delivery);
      const bool is_pending = standing == metastore::Standing::kPending;
      is_elsewhere = is_elsewhere || standing == metastore::Standing::kInProgress ||
                     (is_pending && routes == nullptr);
      waits = waits || (is_pending && routes != nullptr);
    }
    ++seen;
    if (!is_wanted) ++waiting.unrouted;
    if (waits) ++waiting.not_yet;
    if (is_elsewhere) ++waiting.elsewhere;
  };
  if (auto visited = visit_pushed(store, plan.settings.landings, look); !visited) {
    return visited.error();
  }
  const std::uint64_t named = count_named(plan.settings.landings);
  const std::uint64_t known =
      seen + registered.unsettled + registered.failed + registered.quarantined;
  if (named > known) waiting.gone = named - known;
  return waiting;
}

bool has_gone_well(const DeliveredRun& run) {
  return std::ranges::none_of(run.endings, [](const TransferEnding& ending) {
    return ending.failure || ending.summary.lost;
  });
}

void print_push(const landing::WatchSummary& registered, const Waiting& waiting,
                const DeliveredRun& run, bool as_json) {
  if (as_json) {
    Json json = to_json(registered);
    json["unrouted"] = waiting.unrouted;
    json["waiting"] = waiting.not_yet;
    json["elsewhere"] = waiting.elsewhere;
    json["gone"] = waiting.gone;
    json["destinations"] = to_json(run.endings);
    json["untaken"] = run.untaken.files;
    print_json(json);
    return;
  }
  print_endings(run.endings, run.untaken, false);
  std::string text;
  const auto add = [&](std::uint64_t files, std::string_view what) {
    if (files > 0) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", files, what);
  };
  add(registered.unsettled, "still being written");
  add(registered.failed, "unreadable");
  add(registered.quarantined, "refused (the log says why)");
  add(waiting.unrouted, "taken by no route");
  add(waiting.not_yet, "waiting for the min_age or delay of their route");
  add(waiting.elsewhere, "left to another run, which delivers them or an older version");
  add(waiting.gone, "not there any more, or refused before");
  if (!text.empty()) print(fmt::format("not delivered: {}\n", text));
  print(to_text(registered.ignored));
}

bool is_left_out(const landing::WatchSummary& registered) {
  return registered.unsettled + registered.failed + registered.quarantined > 0;
}

Outcome<ExitStatus> push_once(const Invocation& invocation, Push push) {
  const auto registered = landing::watch(*push.store, push.watched, {}, invocation.stop);
  if (!registered) return std::unexpected(registered.error());
  if (invocation.stop.stop_requested()) return ExitStatus::kInterrupted;
  DeliveredRun run;
  if (has_parts(push.plan.settings.landings)) {
    auto& names = push.plan.options.selection.names;
    const auto named = visit_pushed(*push.store, push.plan.settings.landings,
                                    [&](const auto& file, auto) { names.push_back(file.id); });
    if (!named) return fail(named.error(), Origin::kMetastore);
    if (!names.empty()) run = deliver_all(push.plan, *push.store, invocation.stop);
  } else {
    run = deliver_all(push.plan, *push.store, invocation.stop);
  }
  for (TransferEnding& ending : run.endings) ending.left_out.not_yet = 0;  // we count all of it
  Waiting waiting;
  if (has_gone_well(run) && !run.has_passed_deadline) {
    const auto found = find_waiting(*push.store, push.plan, *registered);
    if (!found) return fail(found.error(), Origin::kMetastore);
    waiting = *found;
  }
  print_push(*registered, waiting, run, invocation.arguments.has("json"));
  auto status = status_of(run, push.plan, ExitStatus::kDone);
  const bool is_left = is_left_out(*registered) ||
                       waiting.unrouted + waiting.not_yet + waiting.elsewhere + waiting.gone > 0;
  if (status && is_left) status = worse_of(*status, ExitStatus::kSomeFailed);
  if (run.was_interrupted && status != ExitStatus::kDone) return ExitStatus::kInterrupted;
  return status;
}

/// Watches on a thread of its own, with a store of its own, as two processes would.
Outcome<ExitStatus> push_on(const Invocation& invocation, Push push) {
  auto watcher = landing::open_watcher(push.watched);
  if (!watcher) return fail(watcher.error());
  auto store = open_store_to_work(push.configured, Access::kCreate);
  if (!store) return std::unexpected(store.error());
  StopToken ended;
  std::optional<Failure> failure;
  std::jthread watching([&] {
    ReloadRequest never;
    const auto watched = (*watcher)->run(**store, {}, invocation.stop, never);
    if (!watched) failure = watched.error();
    ended.request_stop();
  });
  const Invocation following{invocation.command, invocation.arguments, ended};
  auto status = deliver_until_stopped(following, std::move(push.plan), std::move(push.store),
                                      std::chrono::milliseconds(0), nullptr);
  if (!ended.stop_requested()) invocation.stop.request_stop();
  watching.join();
  if (failure) return std::unexpected(*failure);
  return status;
}

Outcome<ExitStatus> run_push(const Invocation& invocation) {
  auto push = make_push(invocation.arguments, invocation.stop);
  if (!push) return std::unexpected(push.error());
  if (invocation.arguments.has("watch")) return push_on(invocation, std::move(*push));
  return push_once(invocation, std::move(*push));
}

}  // namespace

Command push_command() {
  return {
      .name = "push",
      .bit = kPushBit,
      .summary = "register files and deliver them, in one step",
      .positional = "PATH...",
      .min_positional = 1,
      .max_positional = static_cast<std::size_t>(-1),
      .description =
          "Registers files, and all files below directories but hidden and unfinished ones, and\n"
          "delivers those that the destination has not got yet; what failed before is tried\n"
          "again. The summary says how many were passed over. A file gets its own\n"
          "name there, one below a directory its path from there on. Paths in a landing area\n"
          "that --landing or the configuration names are that area's files, with its paths,\n"
          "policies and routes. With --watch: goes on with what lands, until SIGTERM.",
      .flags = {{"watch", "", "keep watching the directories, and delivering"},
                {"json", "", "print the summary as JSON"}},
      .exits =
          {{ExitStatus::kDone,
            "all is delivered, or had been before; with --watch: it was stopped"},
           {ExitStatus::kSomeFailed,
            "some files failed, were refused, unreadable, gone or still being written, another "
            "run has them, or the deadline passed; the others are delivered"},
           {ExitStatus::kUsage},
           {ExitStatus::kDestination},
           {ExitStatus::kMetastore},
           {ExitStatus::kInterrupted}},
      .run = &run_push};
}

}  // namespace ferry::app
