#include <algorithm>
#include <array>
#include <map>
#include "ferry/base/json.h"
#include "ferry/base/text.h"

#include <fmt/ranges.h>

#include "app/commands/command.h"
#include "app/config/local_time.h"
#include "app/config/open_store.h"
#include "app/config/selection.h"
#include "app/config/setup.h"
#include "app/config/state_directory.h"
#include "app/output.h"
#include "app/report/expectations.h"
#include "app/report/live_status.h"
#include "app/report/metrics.h"
#include "app/report/situation.h"
#include "app/report/standings.h"
#include "app/report/unreachable.h"
#include "ferry/base/units.h"
#include "ferry/landing/quarantine.h"

namespace ferry::app {
namespace {

using metastore::Standing;

constexpr std::chrono::seconds kRefreshInterval{1};
constexpr std::array kShown{Standing::kPending, Standing::kInProgress,  Standing::kSuccessful,
                            Standing::kFailed,  Standing::kQuarantined, Standing::kSuperseded,
                            Standing::kMissing, Standing::kUnrouted};

struct Counts {
  std::array<std::uint64_t, kShown.size()> by_standing{};  // in the order of kShown
  std::uint64_t given_up = 0;                              // of those that failed
  std::optional<metastore::Totals::Oldest> oldest_pending;

  void add(const metastore::Totals& totals) {
    for (std::size_t i = 0; i < kShown.size(); ++i) by_standing[i] += totals[kShown[i]].files;
    given_up += totals.given_up.files;
    const auto& oldest = totals.oldest_pending;
    if (oldest && (!oldest_pending || oldest->since < oldest_pending->since)) {
      oldest_pending = oldest;
    }
  }
  std::uint64_t of(Standing standing) const {
    return by_standing.at(
        static_cast<std::size_t>(std::ranges::find(kShown, standing) - kShown.begin()));
  }
  bool is_empty() const {
    return std::ranges::all_of(by_standing, [](std::uint64_t files) { return files == 0; });
  }
};

struct Report {
  Counts all;
  std::map<std::string, Counts, std::less<>> by_destination;  // those that have any files
  std::uint64_t damaged_rows = 0;
  std::uint64_t orphaned_rows = 0;
  /// In quarantine, and not in the registry; absent: without landing areas nobody knows.
  std::optional<std::size_t> held_unregistered;
  std::vector<ExpectedDay> late;
  std::vector<Outage> outages;
  std::uint64_t outages_in_the_way = 0;  // files wait
  std::optional<Untaken> untaken;
  Timestamp time = now();

  void add(const metastore::Totals& totals) {
    Counts counts;
    counts.add(totals);
    if (counts.is_empty()) return;
    all.add(totals);
    by_destination.emplace(totals.destination, counts);
  }
};

Json to_json(const Counts& counts, Timestamp time) {
  Json json;
  for (std::size_t i = 0; i < kShown.size(); ++i) {
    json[std::string(to_string(kShown[i]))] = counts.by_standing[i];
  }
  json["given_up"] = counts.given_up;
  json["oldest_pending_age_ms"] =
      counts.oldest_pending ? Json((time - counts.oldest_pending->since).count()) : Json();
  return json;
}

Json to_json(const Report& report) {
  Json json = to_json(report.all, report.time);
  json["damaged_rows"] = report.damaged_rows;
  json["orphaned_rows"] = report.orphaned_rows;
  json["held_unregistered"] = report.held_unregistered ? Json(*report.held_unregistered) : Json();
  json["late"] = to_json(report.late);
  json["unreachable"] = Json::array();
  for (const Outage& outage : report.outages) json["unreachable"].push_back(to_json(outage));
  json["untaken"] = report.untaken ? to_json(*report.untaken) : Json();
  json["destinations"] = Json::array();
  for (const auto& [destination, counts] : report.by_destination) {
    Json entry{{"destination", destination}};
    entry.update(to_json(counts, report.time));
    json["destinations"].push_back(std::move(entry));
  }
  return json;
}

std::string to_text(const Counts& counts, Timestamp time) {
  std::string text;
  for (std::size_t i = 0; i < kShown.size(); ++i) {
    text += fmt::format("{:<12} {:>8}", to_string(kShown[i]), counts.by_standing[i]);
    if (kShown[i] == Standing::kPending && counts.oldest_pending) {
      text += fmt::format("   oldest {}: {}", human_duration(time - counts.oldest_pending->since),
                          escape_controls(counts.oldest_pending->path));
    }
    if (kShown[i] == Standing::kFailed && counts.given_up > 0) {
      text += fmt::format("   {} given up\n{:<12} {:>8}   {}", counts.given_up, "  given up",
                          counts.given_up, kAboutGivenUp);
    }
    if (kShown[i] == Standing::kUnrouted && counts.by_standing[i] > 0) {
      text += "   'ferry list --status unrouted' says why";
    }
    text += "\n";
  }
  return text;
}

std::string to_text(const Outage& outage, Timestamp time) {
  std::string text =
      fmt::format("unreachable  {}   for {}, since {}: {}", escape_controls(outage.destination),
                  human_duration(time - outage.since), format_local(outage.since),
                  escape_controls(outage.message));
  if (outage.next_try && *outage.next_try > time) {
    text += fmt::format("; next try in {}", human_duration(*outage.next_try - time));
  } else {
    text += fmt::format("; last tried {} ago", human_duration(time - outage.last_try));
  }
  return text + "\n";
}

std::string to_text(const Report& report) {
  std::string text;
  if (report.by_destination.size() > 1) {
    for (const auto& [destination, counts] : report.by_destination) {
      text += fmt::format("{}\n{}\n",
                          destination.empty() ? "no destination yet" : escape_controls(destination),
                          to_text(counts, report.time));
    }
    text += "all\n";
  }
  text += to_text(report.all, report.time);
  for (const Outage& outage : report.outages) text += to_text(outage, report.time);
  for (const ExpectedDay& day : report.late) {
    text += fmt::format("late         {}   by {}: {} of {} landed, {} at their destinations\n",
                        escape_controls(day.expectation->name), day.clocks.format(day.deadline),
                        day.landed, day.expectation->count.value, day.arrived);
  }
  if (report.held_unregistered.value_or(0) > 0) {
    text += fmt::format(
        "\n{} more in quarantine that cannot be registered (links, names): 'ferry quarantine "
        "list'\n",
        *report.held_unregistered);
  }
  if (report.untaken) {
    text += fmt::format("\n{}, since {}\n", report.untaken->to_text(),
                        format_local(report.untaken->since));
  }
  if (report.damaged_rows > 0) {
    text += fmt::format("\n{} rows of the metastore cannot be read; they are kept\n",
                        report.damaged_rows);
  }
  if (report.orphaned_rows > 0) {
    text += fmt::format(
        "\n{} rows of transfer_logs tell of files that file_registry does not have: 'ferry doctor' "
        "says what to do\n",
        report.orphaned_rows);
  }
  return text;
}

/// Of the landing areas here: on servers nothing is moved.
std::optional<std::size_t> count_held_unregistered(metastore::Metastore& store,
                                                   const Settings& settings) {
  const auto held = held_unregistered(store, settings);
  return held ? std::optional(held->size()) : std::nullopt;
}

Report to_report(const Overview& known, std::optional<std::size_t> held_unregistered) {
  Report report;
  for (const metastore::Totals& totals : known.totals) report.add(totals);
  report.damaged_rows = known.damaged_rows;
  report.orphaned_rows = known.orphaned_rows;
  report.late = known.late;
  report.outages = known.outages;
  for (const Outage& outage : known.outages) {
    if (waiting_for(known.totals, outage.destination) != nullptr) ++report.outages_in_the_way;
  }
  report.untaken = known.untaken;
  report.held_unregistered = held_unregistered;
  return report;
}

void print_report(const Report& report, bool as_json) {
  if (as_json) {
    print_json(to_json(report));
  } else {
    print(to_text(report));
  }
}

/// One line and an exit code, as monitoring plugins have them.
ExitStatus check(const Report& report) {
  const Counts& counts = report.all;
  const std::uint64_t failed = counts.of(Standing::kFailed) - counts.given_up;
  const std::uint64_t quarantined = counts.of(Standing::kQuarantined);
  std::vector<std::string> troubles;
  const auto add = [&](std::uint64_t count, std::string_view what) {
    if (count > 0) troubles.push_back(fmt::format("{} {}", count, what));
  };
  add(report.late.size(), "late");
  add(counts.given_up, "given up");
  add(report.damaged_rows, "damaged rows");
  add(report.orphaned_rows, "rows without their files");
  const bool is_critical = !troubles.empty();
  add(report.outages_in_the_way, "unreachable");
  add(failed, "failed");
  add(quarantined + report.held_unregistered.value_or(0), "quarantined");
  if (report.untaken) add(report.untaken->files, "not archived or deleted");
  const bool is_well = troubles.empty();
  print(fmt::format("FERRY {}: {} | pending={} failed={} given_up={} quarantined={} late={}\n",
                    is_critical ? "CRITICAL" : (is_well ? "OK" : "WARNING"),
                    is_well ? "nothing needs anybody" : fmt::to_string(fmt::join(troubles, ", ")),
                    counts.of(Standing::kPending), failed, counts.given_up, quarantined,
                    report.late.size()));
  if (is_critical) return ExitStatus::kUsage;
  return is_well ? ExitStatus::kDone : ExitStatus::kSomeFailed;
}

/// What an operator looks at, drawn anew each second until a stop.
Outcome<ExitStatus> show_live(metastore::Metastore& store, const Settings& settings,
                              const std::optional<std::string>& destination, StopToken& stop) {
  do {
    const auto known = look_at_all(store, settings, destination);
    if (!known) return fail(known.error(), Origin::kMetastore);
    const auto agents = read_agent_progress(state_directory(settings).agents());
    if (!agents) return fail(agents.error());
    std::vector<AgentProgress> shown = *agents;
    std::erase_if(shown, [&](const AgentProgress& agent) {
      return destination && agent.destination != *destination;
    });
    print(live_screen(to_text(to_report(*known, std::nullopt)), shown, terminal_width(),
                      screen_of_output()));
    if (!flush_output()) return ExitStatus::kSomeFailed;
  } while (sleep_unless_stopped(kRefreshInterval, stop));
  return ExitStatus::kDone;
}

/// For those who wait until there is something to deliver.
Outcome<ExitStatus> tell_whether_pending(metastore::Metastore& store, const Arguments& arguments) {
  auto idle = idle_status(arguments);
  if (!idle) return fail(idle.error());
  const auto is_pending = store.is_pending();
  if (!is_pending) return fail(is_pending.error(), Origin::kMetastore);
  if (*is_pending) return ExitStatus::kDone;
  return arguments.has(kIdleExitCode) ? *idle : ExitStatus::kSomeFailed;
}

Outcome<ExitStatus> run_status(const Invocation& invocation) {
  const Arguments& arguments = invocation.arguments;
  const int forms = arguments.has("json") + arguments.has("prometheus") + arguments.has("live") +
                    arguments.has("check");
  const bool only_tells = arguments.has("pending");
  if (only_tells && (forms > 0 || arguments.has("destination"))) {
    return fail(
        make_error(ErrorKind::kInvalid, "--pending only makes the exit code: give it alone"));
  }
  if (forms > 1) {
    return fail(
        make_error(ErrorKind::kInvalid, "choose one of --json, --prometheus, --live and --check"));
  }
  const auto settings = effective_settings(arguments);
  if (!settings) return fail(settings.error());
  auto store = open_store(*settings, Access::kRead);
  if (!store) return std::unexpected(store.error());
  if (only_tells) return tell_whether_pending(**store, arguments);

  const auto destination = arguments.last("destination");
  if (const auto checked = check_destination(**store, *settings, destination); !checked) {
    return fail(checked.error());
  }
  if (arguments.has("live")) return show_live(**store, *settings, destination, invocation.stop);
  const auto known = look_at_all(**store, *settings, destination);
  if (!known) return fail(known.error(), Origin::kMetastore);
  if (arguments.has("prometheus")) {
    print(to_prometheus(*known, *settings, now()));
    return ExitStatus::kDone;
  }
  const Report report = to_report(*known, count_held_unregistered(**store, *settings));
  if (arguments.has("check")) return check(report);
  print_report(report, arguments.has("json"));
  return ExitStatus::kDone;
}

}  // namespace

Command status_command() {
  return {
      .name = "status",
      .bit = kStatusBit,
      .summary = "count files by status",
      .positional = "",
      .description =
          "Counts files by where they stand, once for each destination. With --pending it prints\n"
          "nothing, and its exit code says whether an agent has something to deliver.",
      .flags = {{"destination", "NAME", "only how files stand with this destination"},
                {"json", "", "print one JSON object"},
                {"check", "", "print one line and end with 0, 1 or 2, as monitoring plugins do"},
                {"live", "",
                 "show it until interrupted, with what agents of this host do; elsewhere than on a "
                 "terminal one screen follows the other"},
                {"prometheus", "", "print metrics in the text format of Prometheus"},
                {"pending", "", "only say, by the exit code, whether anything is pending"},
                {kIdleExitCode, "N", "with --pending: the code if nothing is, in place of 1"}},
      .exits = {{ExitStatus::kDone, "done; with --pending: something is pending"},
                {ExitStatus::kSomeFailed,
                 "with --pending: nothing is pending; with --check: a warning, as files have "
                 "failed, wait for a destination that cannot be reached, are in quarantine, or "
                 "could not be archived or deleted; standard input or output failed"},
                {ExitStatus::kUsage,
                 "with --check: critical, as files are late or given up, or rows are damaged or "
                 "without their files; "
                 "wrong usage or configuration"},
                {ExitStatus::kMetastore}},
      .run = &run_status};
}

}  // namespace ferry::app
