#include "app/commands/doctor_checks.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <boost/filesystem/operations.hpp>

#include "app/config/config_file.h"
#include "app/config/connections.h"
#include "app/config/landing_areas.h"
#include "app/config/open_store.h"
#include "app/config/state_directory.h"
#include "app/report/standings.h"
#include "ferry/base/child_process.h"
#include "ferry/base/lock.h"
#include "ferry/base/units.h"
#include "ferry/landing/area_facts.h"
#include "ferry/transfer/control_signature.h"

namespace ferry::app {
namespace {

/// The tables, journals and spool want some.
constexpr std::uint64_t kLowSpace = 256 << 20;

struct Backlog {
  std::uint64_t bytes = 0;
  std::uint64_t given_up = 0;
};

Backlog backlog_of(std::span<const metastore::Totals> destinations) {
  using enum metastore::Standing;
  Backlog backlog;
  for (const metastore::Totals& totals : destinations) {
    backlog.bytes += totals[kPending].bytes + totals[kFailed].bytes - totals.given_up.bytes;
    backlog.given_up += totals.given_up.files;
  }
  return backlog;
}

bool may(const fs::path& path, int mode) {
  return ::access(path.c_str(), mode) == 0;
}

}  // namespace

void Examination::well(std::string check, std::string message) {
  diagnoses_.push_back({subject_, std::move(check), Health::kWell, std::move(message), {}});
}
void Examination::note(std::string check, std::string message, std::string cure) {
  diagnoses_.push_back(
      {subject_, std::move(check), Health::kNote, std::move(message), std::move(cure)});
}
void Examination::trouble(std::string check, std::string message, std::string cure,
                          ExitStatus status) {
  diagnoses_.push_back(
      {subject_, std::move(check), Health::kTrouble, std::move(message), std::move(cure), status});
}

bool Examination::is_well() const {
  return std::ranges::none_of(
      diagnoses_, [](const Diagnosis& diagnosis) { return diagnosis.health == Health::kTrouble; });
}

ExitStatus Examination::status() const {
  ExitStatus status = ExitStatus::kDone;
  for (const Diagnosis& diagnosis : diagnoses_) status = worse_of(status, diagnosis.status);
  return status;
}

void Examination::configuration(const fs::path& file) {
  subject_ = "configuration";
  if (file.empty()) return note("file", "there is none: the command line says everything");
  const auto text = read_configuration(file);
  if (!text) {
    return trouble("file", text.error().message, "name another one with --config or FERRY_CONFIG",
                   ExitStatus::kUsage);
  }
  const Configuration loaded = parse_configuration(*text, file.parent_path());
  for (const Problem& problem : loaded.problems) {
    trouble("file", to_string(problem, file), "", ExitStatus::kUsage);
  }
  for (const Problem& warning : loaded.warnings) note("file", to_string(warning, file));
  if (loaded.problems.empty()) well("file", file.string() + " has no mistakes");
}

void Examination::metastore(const Settings& settings, bool compares_index) {
  const fs::path directory = settings.general.metastore.directory();
  subject_ = fmt::format("metastore {}", settings.general.metastore.text);
  boost::system::error_code ignored;
  if (!directory.empty() && (!fs::exists(directory, ignored) || fs::is_empty(directory, ignored))) {
    return note("format", "it is not there yet: the first 'ferry watch' makes it");
  }
  metastore_rows(settings, compares_index);
  if (!settings.general.metastore.is_given()) return;
  if (directory.empty())
    subject_ = fmt::format("state directory {}", state_directory(settings).path().string());
  state_on_disk(settings);
}

void Examination::metastore_rows(const Settings& settings, bool compares_index) {
  auto store = open_store(settings, Access::kRead);
  if (!store) {
    return trouble("format", store.error().error.message, "", exit_status_for(store.error()));
  }
  well("format", "it can be read");
  const auto damaged = (*store)->upkeep().damaged_rows();
  const auto damages = (*store)->upkeep().damages(1);
  if (!damaged || !damages) {
    trouble("damage", damaged ? damages.error().message : damaged.error().message, "",
            ExitStatus::kMetastore);
  } else if (!damages->empty()) {
    const auto& first = damages->front();
    trouble("damage",
            fmt::format("{} rows cannot be read; the first is {}.jsonl, line {}: {}", *damaged,
                        first.table, first.line, first.reason),
            "fix or remove these lines while nothing else uses the metastore",
            ExitStatus::kMetastore);
  } else {
    well("damage", "every row can be read");
  }
  registry((*store)->upkeep());
  if (compares_index) {
    metastore_index((*store)->upkeep(),
                    settings.general.metastore.is_directory()
                        ? "remove index.sqlite, and the two files beside it whose names begin so: "
                          "the next command builds it anew"
                        : "keep a dump, and report it: the tables are the truth");
  }
  const auto totals = (*store)->totals();
  const Backlog backlog = totals ? backlog_of(*totals) : Backlog{};
  if (backlog.given_up > 0) {
    note("failed files", fmt::format("{} deliveries failed and are given up", backlog.given_up),
         "'ferry list --status failed' says why; 'ferry retry --failed' releases them");
  }
  const auto in_unknown = count_in_unknown_areas(**store, settings);
  if (in_unknown && *in_unknown > 0) {
    note("landing areas",
         fmt::format("{} pending files are of landing areas that this configuration does not have",
                     *in_unknown),
         "if an area was renamed, give it its previous name until they are delivered: 'ferry list "
         "--status pending --columns landing,path' shows them");
  }
  const auto in_no_area = count_in_no_area(**store, settings, {});
  if (in_no_area && *in_no_area > 0) {
    note("landing areas",
         fmt::format("{} files are in none of the {} landing areas: their rows name none",
                     *in_no_area, settings.landings.size()),
         "append each row again to file_registry.jsonl, with 'landing'; 'ferry list --status "
         "unrouted' shows them");
  }
}

void Examination::registry(metastore::Upkeep& upkeep) {
  const auto orphans = upkeep.orphans();
  if (!orphans) return trouble("registry", orphans.error().message, "", ExitStatus::kMetastore);
  if (orphans->rows == 0) return well("registry", "it has the files that the logs tell of");
  trouble("registry",
          fmt::format(
              "{}, and {} rows of transfer_logs tell of files that it does not have",
              orphans->registry_is_empty ? "file_registry is empty" : "file_registry lacks rows",
              orphans->rows),
          "restore file_registry from a backup, or append the rows that it lost: what lies in the "
          "landing areas is registered anew without them, and delivered again",
          ExitStatus::kMetastore);
}

void Examination::metastore_index(metastore::Upkeep& upkeep, const std::string& cure) {
  const auto differences = upkeep.verify();
  if (!differences) {
    return trouble("index", differences.error().message, "", ExitStatus::kMetastore);
  }
  if (differences->empty()) return well("index", "it says what the tables say");
  trouble("index", fmt::format("it differs from the tables: {}", differences->front()), cure,
          ExitStatus::kMetastore);
}

/// Where the tables are in a database, only what is the host's own.
void Examination::state_on_disk(const Settings& settings) {
  const fs::path directory = state_directory(settings).path();
  boost::system::error_code ignored;
  if (!fs::exists(directory, ignored)) {
    return note("directory", "it is not there yet: the first 'ferry transfer' makes it");
  }
  if (!may(directory, W_OK | X_OK)) {
    trouble("permissions", "we may not write there",
            "let the user that runs ferry own the directory", ExitStatus::kMetastore);
  } else if (settings.general.metastore.is_directory()) {
    metastore_lock(directory, settings);
  }
  places(settings);
  struct statvfs space{};
  if (::statvfs(directory.c_str(), &space) == 0) {
    const std::uint64_t free = std::uint64_t{space.f_bavail} * space.f_frsize;
    const std::string message = human_size(static_cast<double>(free)) + " are free";
    if (free < kLowSpace) {
      trouble("space", message, "make room: ferry writes down what it does before it does it",
              ExitStatus::kMetastore);
    } else {
      well("space", message);
    }
  }
  if (const auto network = landing::is_on_network(directory); network && *network) {
    trouble("file system", "it is a network file system: locks and syncs may not hold",
            "put it on a local disk", ExitStatus::kMetastore);
  }
}

/// What stands in the way of something of ours hinders only whoever needs it.
void Examination::places(const Settings& settings) {
  const StateDirectory state = state_directory(settings);
  boost::system::error_code ignored;
  const auto is_there = [&](const fs::path& place) {
    return fs::symlink_status(place, ignored).type() != fs::file_not_found;
  };
  const auto complain = [&](const fs::path& place, std::string_view lack) {
    trouble("places", fmt::format("{} is not {}", place.string(), lack),
            "move it away: ferry makes its own; or let the user that runs ferry own it",
            ExitStatus::kMetastore);
  };
  for (const fs::path& place :
       {state.agents(), state.batches(), state.journals(), state.notified(), state.outages(),
        state.resumable(), state.servers(), state.spool(), state.taking(), state.uploads()}) {
    const bool is_link = place == state.agents() && fs::is_symlink(place, ignored);
    const bool is_ours =
        !is_link && fs::is_directory(place, ignored) && may(place, R_OK | W_OK | X_OK);
    if (is_there(place) && !is_ours) complain(place, "a directory that we can read and write");
  }
  for (const fs::path& place : {state.path() / "pending", state.tokens(), state.untaken()}) {
    if (is_there(place) && !fs::is_regular_file(place, ignored)) complain(place, "a plain file");
  }
}

void Examination::metastore_lock(const fs::path& directory, const Settings& settings) {
  const auto lock = FileLock::acquire(directory / "lock", settings.general.lock_timeout);
  if (lock) return well("lock", "it can be had");
  trouble("lock", lock.error().message,
          fmt::format("'fuser -v {}' names who holds it", (directory / "lock").string()),
          ExitStatus::kMetastore);
}

void Examination::landing_areas(const Settings& settings) {
  subject_ = "landing areas";
  if (settings.landings.empty()) {
    return note("configuration", "there is none: nothing is watched or delivered here");
  }
  if (const auto checked = check_landings(settings); !checked) {
    trouble("configuration", checked.error().message, "", ExitStatus::kUsage);
  }
  for (const LandingSettings& landing : settings.landings) {
    if (landing.is_remote()) {
      remote_landing_area(landing, settings);
    } else {
      landing_area(landing);
    }
  }
}

void Examination::remote_landing_area(const LandingSettings& landing, const Settings& settings) {
  subject_ = fmt::format("landing area {}", landing.connection.url.to_string());
  const auto area = ::ferry::app::landing_area(landing, settings);
  if (!area) return trouble("configuration", area.error().message, "", ExitStatus::kUsage);
  const auto names = landing::count_names(*area->location, stop_);
  if (names) return well("listing", fmt::format("we can list it: {} names", *names));
  const Error& error = names.error();
  const bool is_directory = error.kind == ErrorKind::kNotFound || error.kind == ErrorKind::kDenied;
  trouble(is_directory ? "listing" : "connection", error.message,
          is_directory ? "fix the directory in the URL, or its mode on the server"
                       : "ferry reaches a landing area as it does a destination: see the "
                         "operations manual, \"Landing areas on servers\"",
          exit_status_for({Origin::kDestination, error}));
}

void Examination::landing_area(const LandingSettings& landing) {
  subject_ = fmt::format("landing area {}", landing.path.string());
  const auto network = landing::is_on_network(landing.path);
  if (!network) {
    return trouble("directory", network.error().message,
                   "make it, or fix the path or the directory's mode", ExitStatus::kUsage);
  }
  if (!may(landing.path, R_OK | X_OK)) {
    return trouble("permissions", "we may not read it", "let the user that runs ferry read it",
                   ExitStatus::kSomeFailed);
  }
  if (may(landing.path, W_OK)) {
    well("permissions", "we may read and write it");
  } else {
    note("permissions",
         "we may read it, but not write: abnormal files cannot be moved aside, and "
         "uploads have no place");
  }
  if (*network) {
    note("events", "it is a network file system: it is looked through every poll_interval");
  }
  program("validate", landing.validate);
  if (!landing.quarantine.empty()) directory("quarantine", landing.quarantine);
  const auto directories = landing::count_directories(landing.path);
  if (!directories) {
    return trouble("directories", directories.error().message,
                   "let the user that runs ferry read all of it", ExitStatus::kSomeFailed);
  }
  const auto limit = landing::watch_limit();
  if (*network || !limit) return;
  const std::string message =
      fmt::format("{} directories, and inotify lets us watch {}", *directories, *limit);
  if (*directories > *limit / 10 * 9) {
    trouble("inotify", message,
            "raise it: sysctl fs.inotify.max_user_watches, and a file in /etc/sysctl.d",
            ExitStatus::kSomeFailed);
  } else {
    well("inotify", message);
  }
}

void Examination::program(std::string check, const CommandWords& command) {
  if (command.empty()) return;
  const auto found = find_program(command.words.front());
  if (found) return well(std::move(check), *found + " can be run");
  trouble(std::move(check), found.error().message,
          "install the program, or fix its name in the configuration", ExitStatus::kUsage);
}

/// One of ours, or where the first file that goes there makes it.
void Examination::directory(std::string check, const fs::path& path) {
  fs::path nearest = path;
  boost::system::error_code error;
  while (!fs::exists(nearest, error) && nearest.has_relative_path())
    nearest = nearest.parent_path();
  if (!fs::is_directory(nearest, error)) {
    return trouble(std::move(check), fmt::format("{} is not a directory", nearest.string()),
                   "fix the path in the configuration", ExitStatus::kUsage);
  }
  if (!may(nearest, W_OK | X_OK)) {
    return trouble(std::move(check), fmt::format("we may not write in {}", nearest.string()),
                   "let the user that runs ferry write there", ExitStatus::kSomeFailed);
  }
  if (nearest == path) return well(std::move(check), path.string() + " can be written");
  if (check == "archive") {
    // Only the sources' last place: a mistyped name should not become one.
    return trouble(std::move(check), path.string() + " is not there",
                   "make the directory, or fix the path in the configuration", ExitStatus::kUsage);
  }
  note(std::move(check), fmt::format("{} is not there yet: the first file makes it in {}",
                                     path.string(), nearest.string()));
}

void Examination::routes(const Settings& settings) {
  for (const TransformSettings& transform : settings.transforms) {
    subject_ = fmt::format("transform {}", transform.name);
    program("command", transform.command);
  }
  const bool has_local_area = !std::ranges::empty(local_landings(settings));
  for (const RouteSettings& route : settings.routes) {
    subject_ = fmt::format("route {}", route.name);
    program("validate", route.validate);
    if (!route.archive.empty() && has_local_area) directory("archive", route.archive);
  }
  if (!settings.transfer.spool.empty()) {
    subject_ = "transfer";
    directory("spool", settings.transfer.spool);
  }
}

void Examination::destinations(const Settings& settings) {
  subject_ = "destinations";
  if (settings.destinations.empty()) note("configuration", "there is none");
  for (const DestinationSettings& one : settings.destinations) {
    if (stop_.stop_requested()) return;
    destination(one, settings);
  }
}

void Examination::signing_key(const fs::path& key) {
  const auto nothing = open_file("/dev/null", O_RDONLY);
  const auto signature = nothing ? transfer::sign(nothing->get(), key, stop_) : nothing.error();
  if (signature) return well("control_sign", key.string() + " signs");
  trouble("control_sign", signature.error().message,
          "name a private key without a passphrase, or a public one whose private key an agent has",
          ExitStatus::kUsage);
}

void Examination::destination(const DestinationSettings& destination, const Settings& settings) {
  subject_ = fmt::format("destination {}", destination.name);
  const auto resolved = resolve_destination(destination, settings.transfer);
  if (!resolved) return trouble("configuration", resolved.error().message, "", ExitStatus::kUsage);
  if (!destination.control_sign.empty()) signing_key(destination.control_sign);
  std::uint64_t waiting = 0;
  if (auto store = open_store(settings, Access::kRead)) {
    const auto totals = (*store)->totals(destination.name);
    if (totals) waiting = backlog_of(std::span(&*totals, 1)).bytes;
  }
  for (transfer::ProbeStep& step : transfer::probe_destination(*resolved, waiting, stop_)) {
    const bool is_trouble = step.health == Health::kTrouble;
    const ExitStatus status = is_trouble ? ExitStatus::kDestination : ExitStatus::kDone;
    diagnoses_.push_back({subject_, std::move(step.name), step.health, std::move(step.message),
                          std::move(step.cure), status});
  }
}

}  // namespace ferry::app
