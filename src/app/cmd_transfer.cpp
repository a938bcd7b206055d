#include <unistd.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "app/abnormal_sources.h"
#include "app/command.h"
#include "app/follow.h"
#include "app/output.h"
#include "app/progress.h"
#include "app/routing.h"
#include "app/run_deadline.h"
#include "app/selection.h"
#include "app/service_manager.h"
#include "app/setup.h"
#include "app/text.h"
#include "app/units.h"
#include "ferry/transfer/after_delivery.h"
#include "ferry/transfer/agent.h"

namespace ferry::app {
namespace {

using nlohmann::ordered_json;

/// How the run to one destination ended.
struct Ending {
  std::string destination;
  transfer::TransferSummary summary;
  std::optional<Error> error;
};

Result<transfer::TransferOptions> transfer_options(const Settings& settings,
                                                   const Arguments& arguments) {
  const auto dates = registration_dates(arguments);
  if (!dates) return dates.error();
  const TransferSettings& given = settings.transfer;
  transfer::TransferOptions options;
  options.selection.names = arguments.positional;
  options.selection.updated = *dates;
  options.landings = landing_directories(settings);
  options.max_attempts = given.max_attempts.value;
  if (arguments.has("follow")) options.rest_after_failure = given.retry_after;
  options.verify = given.verify;
  options.verify_command = given.verify_command;
  if (options.verify_command.empty()) {
    return make_error(ErrorKind::kInvalid, "verify_command is empty: name a program");
  }
  options.batch = given.batch;
  options.limits.window_bytes = given.window.value;
  options.limits.files_in_flight = static_cast<std::size_t>(given.files_in_flight.value);
  options.limits.stall_timeout = given.stall_timeout;
  options.retries.limit = static_cast<unsigned>(given.retries.value);
  options.retries.first_delay = given.retry_delay;
  options.fsync = given.fsync ? transfer::Fsync::kWhereOffered : transfer::Fsync::kNever;
  options.control_files = settings.general.metastore / "batches";
  options.journals = settings.general.metastore / "journals";
  options.spool = given.spool.empty() ? settings.general.metastore / "spool" : given.spool;
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

/// What the configuration and the command line say about delivering.
struct Plan {
  Settings settings;
  transfer::TransferOptions options;  // but for the routes
  std::vector<transfer::Destination> destinations;
  std::shared_ptr<const transfer::Routes> routes;

  /// Routes speak of configured destinations only: another one, given by --to, gets every file.
  transfer::TransferOptions options_for(const std::string& destination) const {
    transfer::TransferOptions result = options;
    const auto& configured = settings.configured_destinations;
    if (std::ranges::find(configured, destination) != configured.end()) {
      result.routes = routes.get();
    }
    return result;
  }
};

/// The name that the file is to get at the destination; its own path where none can be made.
std::string name_at(const std::string& destination, const metastore::FileRecord& file,
                    const transfer::Routes* routes) {
  if (routes == nullptr) return file.path;
  return transfer::remote_name(routes->find(file.landing, file.path, destination), file)
      .value_or(file.path);
}

Outcome<ExitStatus> preview(const Plan& plan, bool as_json, ExitStatus idle) {
  auto store = open_store(plan.settings, Access::kRead);
  if (!store) return std::unexpected(store.error());
  bool any = false;
  for (const transfer::Destination& destination : plan.destinations) {
    const auto options = plan.options_for(destination.name);
    const auto files = transfer::select(**store, destination.name, options);
    if (!files) return fail(files.error());
    for (const metastore::FileRecord& file : *files) {
      any = true;
      const std::string name = name_at(destination.name, file, options.routes);
      const ordered_json size = file.identity ? ordered_json(file.identity->size) : ordered_json();
      if (as_json) {
        print_json({{"destination", destination.name},
                    {"id", file.id},
                    {"path", file.path},
                    {"landing", file.landing},
                    {"size", size},
                    {"remote_name", name}});
      } else {
        print(fmt::format("would deliver {} to {}{}\n", escape_controls(file.path),
                          destination.name,
                          name == file.path ? "" : " as " + escape_controls(name)));
      }
    }
  }
  if (!any && !as_json) print("nothing to do\n");
  return any ? ExitStatus::kDone : idle;
}

ordered_json to_json(const Ending& ending) {
  const transfer::TransferSummary& summary = ending.summary;
  ordered_json json{{"destination", ending.destination},
                    {"batch_id", summary.batch_id},
                    {"control_file", summary.control_file},
                    {"selected", summary.selected},
                    {"successful", summary.successful},
                    {"failed", summary.failed},
                    {"bytes", summary.bytes},
                    {"duration_ms", summary.duration.count()}};
  if (ending.error) {
    json["error"] = {{"kind", to_string(ending.error->kind)}, {"message", ending.error->message}};
  }
  return json;
}

std::string to_text(const Ending& ending) {
  const transfer::TransferSummary& summary = ending.summary;
  if (summary.selected == 0) return fmt::format("{}: nothing to do\n", ending.destination);
  const double seconds = static_cast<double>(summary.duration.count()) / 1000;
  std::string text =
      fmt::format("{}: {} of {} files delivered, {} in {}", ending.destination, summary.successful,
                  summary.selected, human_size(static_cast<double>(summary.bytes)),
                  human_duration(summary.duration));
  if (seconds > 0) {
    text += fmt::format(" ({}/s)", human_size(static_cast<double>(summary.bytes) / seconds));
  }
  if (summary.failed > 0) text += fmt::format("; {} failed", summary.failed);
  if (!summary.control_file.empty()) text += fmt::format("; {}", summary.control_file);
  return escape_controls(text) + "\n";
}

ExitStatus status_of(const Ending& ending) {
  if (ending.error) return exit_status_for({Origin::kDestination, *ending.error});
  return ending.summary.failed > 0 ? ExitStatus::kSomeFailed : ExitStatus::kDone;
}

std::unique_ptr<transfer::Observer> make_observer(const Settings& settings,
                                                  const std::string& destination) {
  const bool terminal = ::isatty(STDERR_FILENO) != 0;
  if (terminal && settings.log.format == log::Format::kText) {
    return make_bar_observer(destination, stderr);
  }
  return make_log_observer(destination);
}

Ending run_one(metastore::Metastore& store, const transfer::Destination& destination,
               const Plan& plan, StopToken& stop) {
  const auto observer = make_observer(plan.settings, destination.name);
  transfer::TransferOptions options = plan.options_for(destination.name);
  options.on_abnormal = quarantine_abnormal_sources(store, landing_areas(plan.settings));
  auto summary = transfer::deliver(store, destination, options, *observer, stop);
  if (!summary) return {destination.name, {}, summary.error()};
  return {destination.name, std::move(*summary), std::nullopt};
}

/// One destination's trouble does not keep the others from their files.
std::vector<Ending> run_all(metastore::Metastore& store, const Plan& plan, StopToken& stop) {
  std::vector<Ending> endings;
  for (const transfer::Destination& destination : plan.destinations) {
    if (stop.stop_requested()) break;
    endings.push_back(run_one(store, destination, plan, stop));
    const auto& error = endings.back().error;
    if (error && plan.destinations.size() > 1) {
      log::error("transfer failed", {{"destination", destination.name},
                                     {"kind", to_string(error->kind)},
                                     {"error", error->message}});
    }
  }
  return endings;
}

/// What the routes say about sources that everybody has by now. The files are delivered, whatever
/// comes of it.
void settle_sources(metastore::Metastore& store, const Plan& plan) {
  if (!plan.routes) return;
  const auto settled = transfer::settle_sources(store, *plan.routes, plan.options.landings);
  if (!settled) {
    log::warning("delivered files not archived or deleted", {{"error", settled.error().message}});
  }
}

ExitStatus overall_status(const std::vector<Ending>& endings, ExitStatus idle,
                          const StopToken& stop) {
  if (stop.stop_requested()) return ExitStatus::kInterrupted;
  ExitStatus status = ExitStatus::kDone;
  std::uint64_t selected = 0;
  for (const Ending& ending : endings) {
    status = worse_of(status, status_of(ending));
    selected += ending.summary.selected;
  }
  return status == ExitStatus::kDone && selected == 0 ? idle : status;
}

void print_endings(const std::vector<Ending>& endings, bool as_json) {
  if (as_json) {
    ordered_json all = ordered_json::array();
    for (const Ending& ending : endings) all.push_back(to_json(ending));
    print_json({{"destinations", std::move(all)}});
    return;
  }
  for (const Ending& ending : endings) {
    if (!ending.error) print(to_text(ending));
  }
}

bool was_cut_short(const std::vector<Ending>& endings, std::size_t destinations) {
  return endings.size() < destinations ||
         std::ranges::any_of(
             endings,
             [](const Ending& ending) {
               return ending.error && ending.error->kind == ErrorKind::kCancelled;
             });
}

Outcome<Plan> make_plan(const Arguments& arguments) {
  auto settings = effective_settings(arguments);
  if (!settings) return fail(settings.error());
  auto options = transfer_options(*settings, arguments);
  if (!options) return fail(options.error());
  if (const auto checked = check_landings(*settings); !checked) return fail(checked.error());
  auto destinations = resolve_destinations(*settings);
  if (!destinations) return fail(destinations.error());
  auto routes = make_routes(*settings);
  return Plan{std::move(*settings), std::move(*options), std::move(*destinations),
              std::move(routes)};
}

Outcome<ExitStatus> deliver_once(const Plan& plan, metastore::Metastore& store,
                                 const Invocation& invocation, ExitStatus idle) {
  const RunDeadline deadline(plan.settings.transfer.deadline, invocation.stop);
  const auto endings = run_all(store, plan, invocation.stop);
  settle_sources(store, plan);
  print_endings(endings, invocation.arguments.has("json"));
  if (deadline.has_passed() && was_cut_short(endings, plan.destinations.size())) {
    log::error("the deadline has passed, what is not delivered stays pending",
               {{"deadline", human_duration(plan.settings.transfer.deadline)}});
    return ExitStatus::kSomeFailed;
  }
  if (endings.size() == 1 && endings.front().error) {
    return fail(*endings.front().error, Origin::kDestination);
  }
  return overall_status(endings, idle, invocation.stop);
}

/// The command with --follow.
class FollowingTransfer {
 public:
  FollowingTransfer(const Invocation& invocation, std::chrono::milliseconds exit_when_idle,
                    Plan plan, std::unique_ptr<metastore::Metastore> store)
      : invocation_(invocation), plan_(std::move(plan)), store_(std::move(store)) {
    if (exit_when_idle.count() > 0) options_.exit_when_idle = exit_when_idle;
    options_.run = [this](std::size_t i) { return run(plan_.destinations[i]); };
    options_.on_error = [this](std::size_t i, const Error& error, std::chrono::seconds wait) {
      tell_of(plan_.destinations[i], error, wait);
    };
    options_.on_waiting = [this] {
      if (unreachable_.empty()) service_manager::tell_status("waiting for files");
    };
  }

  Outcome<ExitStatus> until_stopped() {
    ReloadRequest& hangup = reload_on_hangup();
    log::info("ready");
    service_manager::tell_ready();
    for (;;) {
      options_.destinations = plan_.destinations.size();
      const auto end = follow(*store_, options_, invocation_.stop, hangup);
      if (end && *end == FollowEnd::kReload) {
        reload();
        continue;
      }
      service_manager::tell_stopping();
      if (!end) return fail(end.error(), Origin::kMetastore);
      return *end == FollowEnd::kStopped ? ExitStatus::kDone : worst_of_last_runs();
    }
  }

 private:
  Result<std::uint64_t> run(const transfer::Destination& destination) {
    const Ending ending = run_one(*store_, destination, plan_, invocation_.stop);
    if (ending.error) return *ending.error;
    unreachable_.erase(destination.name);
    settle_sources(*store_, plan_);
    if (ending.summary.selected == 0) return 0;
    last_runs_[destination.name] = status_of(ending);
    print_endings({ending}, invocation_.arguments.has("json"));
    flush_output();
    return ending.summary.selected;
  }

  void tell_of(const transfer::Destination& destination, const Error& error,
               std::chrono::seconds wait) {
    unreachable_.insert(destination.name);
    const std::string again = human_duration(wait);
    log::error("transfer failed", {{"destination", destination.name},
                                   {"kind", to_string(error.kind)},
                                   {"error", error.message},
                                   {"next_try_in", again}});
    service_manager::tell_status(
        fmt::format("{}: {}; next try in {}", destination.name, error.message, again));
  }

  /// Where the new configuration is of no use, the former one stays in effect.
  void reload() {
    service_manager::tell_reloading();
    auto plan = make_plan(invocation_.arguments);
    auto store = plan ? open_store(plan->settings, Access::kWrite) : std::unexpected(plan.error());
    if (store) {
      plan_ = std::move(*plan);
      store_ = std::move(*store);
      unreachable_.clear();
      log::info("configuration reloaded", {{"destinations", plan_.destinations.size()}});
    } else {
      log::error("configuration not reloaded", {{"error", store.error().error.message},
                                                {"next", "the former one stays in effect"}});
    }
    service_manager::tell_ready();
  }

  ExitStatus worst_of_last_runs() const {
    ExitStatus status = ExitStatus::kDone;
    for (const auto& [destination, last] : last_runs_) status = worse_of(status, last);
    return status;
  }

  const Invocation& invocation_;
  Plan plan_;
  std::unique_ptr<metastore::Metastore> store_;
  FollowOptions options_;
  std::set<std::string> unreachable_;
  std::map<std::string, ExitStatus> last_runs_;
};

Result<std::chrono::milliseconds> exit_when_idle(const Arguments& arguments) {
  const bool follows = arguments.has("follow");
  if (follows && (arguments.has("dry-run") || !arguments.positional.empty())) {
    return make_error(ErrorKind::kInvalid,
                      "--follow takes what is registered: give it neither --dry-run nor files");
  }
  const auto time = arguments.last("exit-when-idle");
  if (!time) return std::chrono::milliseconds(0);
  if (!follows) return make_error(ErrorKind::kInvalid, "--exit-when-idle belongs to --follow");
  auto parsed = parse_duration(*time);
  if (!parsed) return parsed.error().with_context("--exit-when-idle");
  return std::max(*parsed, std::chrono::milliseconds(1));
}

Outcome<ExitStatus> run_transfer(const Invocation& invocation) {
  const Arguments& arguments = invocation.arguments;
  const auto idle = idle_status(arguments);
  if (!idle) return fail(idle.error());
  const auto idle_time = exit_when_idle(arguments);
  if (!idle_time) return fail(idle_time.error());
  auto plan = make_plan(arguments);
  if (!plan) return std::unexpected(plan.error());
  if (arguments.has("dry-run")) {
    return preview(*plan, arguments.has("json"), *idle);
  }
  auto store = open_store(plan->settings, Access::kWrite);
  if (!store) return std::unexpected(store.error());
  if (!arguments.has("follow")) return deliver_once(*plan, **store, invocation, *idle);
  return FollowingTransfer(invocation, *idle_time, std::move(*plan), std::move(*store))
      .until_stopped();
}

}  // namespace

Command transfer_command() {
  return {.name = "transfer",
          .bit = kTransferBit,
          .summary = "deliver what is pending",
          .positional = "[PATH|ID...]",
          .max_positional = static_cast<std::size_t>(-1),
          .description =
              "Delivers every registered file that a destination has not got yet, then pushes a\n"
              "control file that lists them with sizes and checksums. With paths or ids: those\n"
              "files only, however often they failed. Without --to: to all configured\n"
              "destinations, one after the other. With --follow: again and again, as files are\n"
              "registered, until SIGTERM; SIGHUP reads the configuration again.",
          .flags = {{"date", "DAY", "only files of this UTC day: 2026-11-22, today or yesterday"},
                    {"since", "TIME", "only files updated at or after this time"},
                    {"until", "TIME", "only files updated before this time"},
                    {"follow", "", "keep delivering as files are registered"},
                    {"exit-when-idle", "TIME",
                     "with --follow: end when nothing has been pending for this long"},
                    {"dry-run", "", "print what would be delivered; change nothing"},
                    {"json", "", "print the summary as JSON"},
                    {"idle-exit-code", "N", "exit with this code where there was nothing to do"}},
          .exits = {ExitStatus::kDone, ExitStatus::kSomeFailed, ExitStatus::kUsage,
                    ExitStatus::kDestination, ExitStatus::kMetastore, ExitStatus::kInterrupted},
          .run = &run_transfer};
}

}  // namespace ferry::app
