#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "app/commands/command.h"
#include "app/config/landing_areas.h"
#include "app/config/open_store.h"
#include "app/config/placement.h"
#include "app/config/selection.h"
#include "app/config/setup.h"
#include "app/config/text.h"
#include "app/config/words.h"
#include "app/output.h"
#include "app/report/changes.h"
#include "app/report/list_view.h"
#include "app/report/standings.h"
#include "ferry/base/glob.h"
#include "ferry/base/json.h"

namespace ferry::app {
namespace {

using metastore::Standing;

const std::vector<std::string_view>& standing_names() {
  using enum Standing;
  static const std::vector<std::string_view> names = {
      to_string(kPending), to_string(kInProgress),  to_string(kSuccessful),
      to_string(kFailed),  to_string(kQuarantined), to_string(kSuperseded),
      to_string(kMissing), to_string(kUnrouted),    "given_up"};
  return names;
}

Json to_json(const StandingRow& row) {
  const metastore::FileRecord& file = row.file;
  Json json{{"id", file.id},
            {"path", file.path},
            {"status", to_string(row.standing)},
            {"landing", file.landing},
            {"size", nullptr},
            {"checksum", file.checksum.to_string()},
            {"updated_date", format_timestamp(file.updated_date)},
            {"destination", text_or_null(row.destination)},
            {"transfer_date", nullptr},
            {"attempt", 0},
            {"given_up", row.given_up},
            {"error", nullptr}};
  if (file.identity) json["size"] = file.identity->size;
  if (row.delivery != nullptr) {
    json["transfer_date"] = format_timestamp(row.delivery->date);
    json["attempt"] = row.delivery->attempt;
  }
  if (row.standing == Standing::kFailed && row.delivery != nullptr) {
    json["error"] = {{"kind", row.delivery->error_kind}, {"message", row.delivery->error_message}};
  } else if (const auto reason = reason_of(row); !reason.empty()) {
    json["error"] = {{"kind", to_string(row.standing)}, {"message", reason}};
  }
  return json;
}

constexpr std::string_view kGivenUp = "given_up";

/// What the flags ask for, and what of it no query can say.
struct Wanted {
  std::vector<Standing> standings = {};
  bool only_given_up = false;
  std::vector<Glob> globs = {};
  std::optional<std::string> destination = {};
  std::string sort = {};

  bool has(const StandingRow& row) const {
    if (only_given_up && !row.given_up) return false;
    if (!standings.empty() && std::ranges::find(standings, row.standing) == standings.end()) {
      return false;
    }
    if (destination && row.destination != *destination) return false;
    return globs.empty() || std::ranges::any_of(globs, [&](const Glob& glob) {
             return glob.matches(row.file.path);
           });
  }
};

Result<void> want_standings(Wanted& wanted, const Arguments& arguments) {
  for (const std::string& word : words_of(arguments, "status")) {
    if (word == kGivenUp) {
      wanted.only_given_up = true;
      wanted.standings.push_back(Standing::kFailed);
    } else if (const auto standing = metastore::parse_standing(word)) {
      wanted.standings.push_back(*standing);
    } else {
      const auto& names = standing_names();
      return make_error(ErrorKind::kInvalid, "--status: '{}' is not one of {}{}", word,
                        fmt::join(names, ", "), suggestion(word, names));
    }
  }
  if (wanted.only_given_up && wanted.standings.size() > 1) {
    return make_error(ErrorKind::kInvalid, "--status: given_up stands for itself");
  }
  return {};
}

Result<Wanted> wanted_by(const Arguments& arguments) {
  Wanted wanted;
  if (const auto done = want_standings(wanted, arguments); !done) return done.error();
  if (const auto found = arguments.flags.find("match"); found != arguments.flags.end()) {
    for (const std::string& pattern : found->second) wanted.globs.emplace_back(pattern);
  }
  wanted.destination = arguments.last("destination");
  wanted.sort = arguments.last("sort").value_or("registered");
  const auto keys = sort_keys();
  if (std::ranges::find(keys, wanted.sort) == keys.end()) {
    return make_error(ErrorKind::kInvalid, "--sort: '{}' is not one of {}{}", wanted.sort,
                      fmt::join(keys, ", "), suggestion(wanted.sort, keys));
  }
  const auto is_given = [&](const char* flag) { return arguments.has(flag); };
  if (arguments.has("follow") &&
      std::ranges::any_of(std::array{"sort", "date", "since", "until"}, is_given)) {
    return make_error(ErrorKind::kInvalid,
                      "--follow shows what changes from now on, as it does: give it no --sort and "
                      "no times");
  }
  return wanted;
}

/// Prints rows, at once or at the end and in order.
class Printer {
 public:
  Printer(const Wanted& wanted, ListView view, bool as_json)
      : wanted_(wanted), view_(std::move(view)), as_json_(as_json) {}

  void show(const StandingRow& row) {
    if (!wanted_.has(row)) return;
    if (wanted_.sort == "registered") {
      print_one(listed(row), as_json_ ? to_json(row) : Json());
    } else {
      files_.push_back(listed(row));
      if (as_json_) lines_.emplace(key_of(files_.back()), to_json(row));
    }
  }

  void finish() {
    sort_files(files_, wanted_.sort);
    for (const ListedFile& file : files_) {
      print_one(file, as_json_ ? lines_.at(key_of(file)) : Json());
    }
  }

 private:
  static std::string key_of(const ListedFile& file) { return file.id + " " + file.destination; }

  void print_one(const ListedFile& file, const Json& json) const {
    if (as_json_) {
      print_json(json);
    } else {
      print(view_.line(file, now()));
    }
  }

  const Wanted& wanted_;
  ListView view_;
  const bool as_json_;
  std::vector<ListedFile> files_;
  std::map<std::string, Json> lines_;
};

/// Shows rows as they come to be: what is registered, and what becomes of it.
class Follower {
 public:
  Follower(metastore::Metastore& store, const StandingQuery& query, Printer& printer)
      : store_(store), query_(query), printer_(printer) {}

  /// Shows what there is more of than at the last call.
  Result<void> show_new() {
    const Timestamp since = last_ - kOverlap;
    last_ = now();
    std::set<std::string> seen;
    const auto show = [&](const StandingRow& row) {
      const Timestamp date = row.delivery != nullptr ? row.delivery->date : row.file.updated_date;
      std::string key = fmt::format("{} {} {} {}", row.file.id, row.destination,
                                    to_string(row.standing), format_timestamp(date));
      if (date >= start_ && !seen_.contains(key) && !seen.contains(key)) printer_.show(row);
      seen.insert(std::move(key));
    };
    StandingQuery found = query_;
    found.files.updated.since = since;
    if (auto visited = visit_standings(store_, found, show); !visited) return visited;
    const metastore::TransferQuery moved{.date = {.since = since}};
    auto visited = store_.visit_transfers(
        moved, [&](const metastore::FileRecord& file, const metastore::Delivery& delivery) {
          if (!is_of_landings(file)) return;
          StandingRow row{file, delivery.destination, &delivery,
                          metastore::standing_of(file, &delivery)};
          row.given_up = row.standing == Standing::kFailed &&
                         !metastore::is_deliverable(file, &delivery, query_.max_attempts);
          show(row);
        });
    seen_ = std::move(seen);
    return visited;
  }

 private:
  /// Rows may be written a little later than they are dated, and clocks differ a little.
  static constexpr std::chrono::seconds kOverlap{60};

  bool is_of_landings(const metastore::FileRecord& file) const {
    const auto& landings = query_.files.landings;
    return landings.empty() || std::ranges::find(landings, file.landing) != landings.end();
  }

  metastore::Metastore& store_;
  const StandingQuery& query_;
  Printer& printer_;
  const Timestamp start_ = now();
  Timestamp last_ = start_;
  std::set<std::string> seen_;
};

/// The labels of the areas that --landing selects; none: all.
std::vector<std::string> wanted_landings(const Settings& settings, const Arguments& arguments) {
  if (!arguments.has("landing")) return {};
  const auto labels = landing_labels(settings);
  std::vector<std::string> landings(labels.begin(), labels.end());
  std::erase(landings, "");
  return landings;
}

/// A slip of the pen is no area without files: one is configured, or there, or has been.
Result<void> check_are_known(metastore::Metastore& store, const Settings& settings,
                             const std::vector<std::string>& labels, const Arguments& arguments) {
  if (labels.empty()) return {};
  for (const LandingSettings& landing : settings.landings) {
    const bool is_configured = landing.name != place_of(landing);
    if (is_configured || landing.is_remote() || fs::exists(landing.path)) return {};
  }
  const auto has_files = has_any(store, {.landings = labels});
  if (!has_files) return has_files.error();
  if (*has_files) return {};
  return make_error(ErrorKind::kInvalid,
                    "--landing {}: no such area is configured, there is no such directory, and the "
                    "registry has no file of it",
                    *arguments.last("landing"));
}

Outcome<ExitStatus> run_list(const Invocation& invocation) {
  const Arguments& arguments = invocation.arguments;
  const auto settings = effective_settings(arguments);
  if (!settings) return fail(settings.error());
  const auto wanted = wanted_by(arguments);
  if (!wanted) return fail(wanted.error());
  const auto dates = registration_dates(arguments);
  if (!dates) return fail(dates.error());
  auto store = open_store(*settings, Access::kRead);
  if (!store) return std::unexpected(store.error());
  if (const auto known = check_destination(**store, *settings, wanted->destination); !known) {
    return fail(known.error());
  }
  const auto landings = wanted_landings(*settings, arguments);
  if (const auto known = check_are_known(**store, *settings, landings, arguments); !known) {
    return fail(known.error());
  }
  const auto logged = (*store)->logged_destinations();
  if (!logged) return fail(logged.error(), Origin::kMetastore);
  const auto destinations = std::max(logged->size(), settings->configured_destinations.size());
  const bool several_landings = settings->configured_landings > 1 && settings->landings.size() > 1;
  auto view = ListView::make(arguments, several_landings, destinations > 1 && !wanted->destination);
  if (!view) return fail(view.error());
  auto query = standing_query(*settings, wanted->destination);
  query.files.standings = wanted->standings;
  query.files.landings = landings;
  query.files.updated = *dates;
  Printer printer(*wanted, std::move(*view), arguments.has("json"));
  if (arguments.has("follow")) {
    query.files.standings.clear();  // a row that is not wanted now may be, soon
    const auto followed = show_changes(
        **store, invocation.stop,
        [follower = Follower(**store, query, printer)]() mutable { return follower.show_new(); });
    if (!followed) return fail(followed.error(), Origin::kMetastore);
    return ExitStatus::kDone;
  }
  const auto visited =
      visit_standings(**store, query, [&](const StandingRow& row) { printer.show(row); });
  if (!visited) return fail(visited.error(), Origin::kMetastore);
  printer.finish();
  return ExitStatus::kDone;
}

}  // namespace

Command list_command() {
  return {
      .name = "list",
      .bit = kListBit,
      .summary = "list files with their status, and why",
      .positional = "",
      .description =
          "Lists every file, oldest first: status, size, date of the status, path, reason; also\n"
          "landing area and destination where there are several. On a terminal the date is an\n"
          "age, and the status has a colour (unless NO_COLOR is set).",
      .flags = {{"status", "STATUS",
                 "only pending, in_progress, successful, failed, given_up, quarantined, "
                 "superseded, missing or unrouted; several with commas",
                 standing_names()},
                {"match", "GLOB", "only files of this name or path, such as '*.csv'"},
                {"destination", "NAME", "only how files stand with this destination"},
                {"date", "DAY", "only files registered on this day"},
                {"since", "TIME", "only files registered at or after this time, or 2h ago"},
                {"until", "TIME", "only files registered before this time"},
                {"sort", "KEY",
                 "by registered (the default), date, size (largest first), path or status",
                 sort_keys()},
                {"columns", "NAMES",
                 "what to show, with commas: status, size, date, age, landing, path, "
                 "destination, attempts, id, checksum, reason",
                 list_columns()},
                {"follow", "", "show what changes from now on, until it is stopped"},
                {"json", "", "print one JSON object a line"}},
      .exits = {{ExitStatus::kDone},
                {ExitStatus::kSomeFailed, kInputOutputFailed},
                {ExitStatus::kUsage},
                {ExitStatus::kMetastore}},
      .run = &run_list};
}

}  // namespace ferry::app
