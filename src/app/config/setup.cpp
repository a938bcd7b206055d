#include "app/config/setup.h"
#include "app/config/connections.h"

#include <pwd.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <boost/filesystem/directory.hpp>
#include <boost/filesystem/operations.hpp>
#include <cstdlib>

#include "app/config/config_file.h"
#include "app/config/local_time.h"
#include "app/config/placement.h"
#include "app/config/routing.h"
#include "app/config/secrets.h"
#include "app/config/state_directory.h"
#include "app/config/text.h"
#include "app/config/usual_places.h"
#include "app/report/reading_progress.h"
#include "ferry/base/directory.h"
#include "ferry/base/log.h"
#include "ferry/sftp/remote_command.h"
#include "ferry/sftp/transport_choice.h"

namespace ferry::app {
namespace {

const Option& selecting_option(Section section) {
  return *std::ranges::find_if(
      options(), [&](const Option& option) { return option.selects && option.section == section; });
}

Error option_error(const Option& option, const Error& error) {
  return error.with_context(fmt::format("--{}", option.flag));
}

Result<void> store_place(const Option& option, const std::string& word, LandingSettings& landing) {
  if (word.find("://") == word.npos) {
    Settings unused;
    return option.set({&unused, &landing, nullptr, working_directory()}, word);
  }
  auto url = sftp::Url::parse(word);
  if (!url) return url.error();
  landing.connection.url = std::move(*url);
  return {};
}

bool is_same_area(const LandingSettings& one, const LandingSettings& other) {
  const Whereabouts here = whereabouts_of(one);
  const Whereabouts there = whereabouts_of(other);
  return here.account == there.account && here.directory == there.directory;
}

Result<void> select_landings(Settings& settings, const std::vector<std::string>& words) {
  const Option& option = selecting_option(Section::kLanding);
  std::vector<LandingSettings> selected;
  for (const std::string& word : words) {
    LandingSettings given;
    if (const auto stored = store_place(option, word, given); !stored) {
      return option_error(option, stored.error());
    }
    const auto known = std::ranges::find_if(settings.landings, [&](const LandingSettings& landing) {
      return landing.name == word || is_same_area(landing, given);
    });
    if (known != settings.landings.end()) given = *known;
    if (given.name.empty()) given.name = place_of(given);
    selected.push_back(std::move(given));
  }
  settings.landings = std::move(selected);
  return {};
}

Result<void> check_apart(const std::vector<DestinationSettings>& selected) {
  for (auto one = selected.begin(); one != selected.end(); ++one) {
    const auto other = std::find_if(std::next(one), selected.end(), [&](const auto& later) {
      return later.name != one->name && is_same_place(later.url, one->url);
    });
    if (other == selected.end()) continue;
    return make_error(ErrorKind::kInvalid,
                      "--to: '{}' and '{}' are one place: its files would be delivered twice",
                      one->name, other->name);
  }
  return {};
}

Result<void> select_destinations(Settings& settings, const std::vector<std::string>& words) {
  const Option& option = selecting_option(Section::kDestination);
  std::vector<DestinationSettings> selected;
  for (const std::string& word : words) {
    const auto known = std::ranges::find(settings.destinations, word, &DestinationSettings::name);
    if (known != settings.destinations.end()) {
      selected.push_back(*known);
      continue;
    }
    if (word.find("://") == word.npos) {
      std::vector<std::string_view> names(settings.configured_destinations.begin(),
                                          settings.configured_destinations.end());
      const std::string meant = suggestion(word, names);
      if (meant.empty()) {
        return make_error(ErrorKind::kInvalid,
                          "--to: '{}' is neither an sftp:// URL nor a configured destination: "
                          "write sftp://user@host/directory",
                          word);
      }
      return make_error(ErrorKind::kInvalid,
                        "--to: '{}' is neither an sftp:// URL nor a configured destination{}", word,
                        meant);
    }
    DestinationSettings given;
    const auto stored = option.set({&settings, nullptr, &given, {}}, word);
    if (!stored) return option_error(option, stored.error());
    given.name = given.url.to_string();
    selected.push_back(std::move(given));
  }
  if (auto apart = check_apart(selected); !apart) return apart;
  settings.destinations = std::move(selected);
  return {};
}

void apply_environment(Settings& settings) {
  if (const auto location = environment("FERRY_METASTORE")) {
    const bool is_url = location->find("://") != location->npos;
    settings.general.metastore.text =
        is_url ? *location : fs::absolute(*location, working_directory()).string();
  }
}

/// Nearer settings outweigh them. Of several destinations those that log in with a key of their own
/// are not offered the password: it belongs to another server.
void apply_secrets(Settings& settings) {
  const EnvironmentSecrets& secrets = environment_secrets();
  const bool is_only = settings.destinations.size() == 1;
  for (DestinationSettings& destination : settings.destinations) {
    const bool has_own_login = !destination.identity.empty() && !is_only;
    if (destination.password_file.empty() && !has_own_login) {
      destination.password = secrets.password;
    }
    if (destination.passphrase_file.empty()) destination.passphrase = secrets.passphrase;
  }
}

std::vector<Scope> scopes_of(Settings& settings, Section section) {
  const fs::path base = working_directory();
  std::vector<Scope> scopes;
  if (section == Section::kLanding) {
    for (auto& landing : settings.landings) {
      scopes.push_back({&settings, &landing, nullptr, base});
    }
  } else if (section == Section::kDestination) {
    for (auto& destination : settings.destinations) {
      scopes.push_back({&settings, nullptr, &destination, base});
    }
  } else {
    scopes.push_back({&settings, nullptr, nullptr, base});
  }
  return scopes;
}

Value value_on_command_line(const Option& option, const std::vector<std::string>& words) {
  if (option.metavar.empty()) return !option.flag.starts_with("no-");
  if (option.repeatable) return words;
  return words.back();
}

Result<void> apply_flags(Settings& settings, const Arguments& arguments) {
  for (const Option& option : options()) {
    const auto found = arguments.flags.find(option.flag);
    if (option.selects || found == arguments.flags.end()) continue;
    const Value value = value_on_command_line(option, found->second);
    for (const Scope& scope : scopes_of(settings, option.section)) {
      if (const auto stored = option.set(scope, value); !stored) {
        return option_error(option, stored.error());
      }
    }
  }
  return {};
}

Result<void> apply_selections(Settings& settings, const Arguments& arguments) {
  if (const auto found = arguments.flags.find("landing"); found != arguments.flags.end()) {
    if (const auto done = select_landings(settings, found->second); !done) return done.error();
  }
  if (const auto found = arguments.flags.find("to"); found != arguments.flags.end()) {
    return select_destinations(settings, found->second);
  }
  return {};
}

}  // namespace

Result<LandingSettings> landing_by_flags(const Arguments& arguments) {
  Settings alone;
  alone.landings.emplace_back();
  if (const auto done = apply_flags(alone, arguments); !done) return done.error();
  return alone.landings.front();
}

Result<Settings> effective_settings(const Arguments& arguments) {
  Settings settings;
  if (const fs::path file = configuration_file(arguments); !file.empty()) {
    auto loaded = load_configuration(file);
    if (!loaded) return loaded.error();
    settings = std::move(*loaded);
  }
  if (const auto done = apply_selections(settings, arguments); !done) return done.error();
  apply_environment(settings);
  if (const auto done = apply_flags(settings, arguments); !done) return done.error();
  if (!settings.general.metastore.is_given()) {
    settings.general.metastore.text = default_metastore();
  }
  apply_secrets(settings);
  for (ExpectSettings& one : settings.expected) {
    if (one.timezone.name.empty()) one.timezone = settings.general.timezone;
  }
  const auto located = metastore::check_location(settings.general.metastore.text);
  if (!located) return located.error();
  if (const auto used = use_time_zone(settings.general.timezone.name); !used) return used.error();
  log::init(settings.log.level, settings.log.format);
  return settings;
}

namespace {

/// That the directories of landing areas are there. One that is not may be on a file system that is
/// not mounted: who can go on without it says so.
Result<void> check_presence(const Settings& settings, Presence presence) {
  std::vector<Error> absences;
  for (const LandingSettings& landing : local_landings(settings)) {
    boost::system::error_code error;
    if (fs::is_directory(landing.path, error)) continue;
    absences.push_back(make_error(ErrorKind::kInvalid, "landing area {}: {}", landing.path.string(),
                                  error ? error.message() : "it is not a directory"));
  }
  const std::size_t tolerable = presence == Presence::kOfAny ? settings.landings.size() - 1 : 0;
  if (absences.size() > tolerable) return absences.front();
  return {};
}

}  // namespace

Result<void> check_landings(const Settings& settings, Presence presence) {
  if (settings.landings.empty()) {
    return make_error(ErrorKind::kInvalid,
                      "no landing area: give --landing DIR, or [landing.NAME] in a configuration "
                      "file");
  }
  if (const auto present = check_presence(settings, presence); !present) return present;
  const auto misplaced = find_misplaced(settings);
  if (misplaced.empty()) return {};
  return make_error(ErrorKind::kInvalid, "landing area {}: {}", misplaced.front().landing,
                    misplaced.front().message);
}

AcceptancePolicy acceptance_policy(const AcceptanceSettings& settings) {
  return {.empty = settings.empty,
          .min_size = settings.min_size.value_or(Bytes{}).value,
          .max_size = settings.max_size.value_or(Bytes{}).value,
          .extensions = settings.extensions,
          .magic = settings.magic,
          .min_age = settings.min_age,
          .validate = settings.validate.words,
          .validate_timeout = settings.validate_timeout};
}

namespace {

Result<sftp::Location> location_of(const LandingSettings& landing, const Settings& settings) {
  auto connect = resolve_connection(landing.connection, settings.transfer);
  if (!connect) return connect.error().with_context(fmt::format("landing area {}", landing.name));
  return sftp::Location{std::move(*connect), landing.connection.url.directory};
}

}  // namespace

Result<landing::LandingArea> landing_area(const LandingSettings& landing,
                                          const Settings& settings) {
  landing::LandingArea area{.name = landing.name,
                            .path = landing.path,
                            .ignore = landing.ignore,
                            .settle = landing.settle,
                            .acceptance = acceptance_policy(landing),
                            .quarantine = landing.quarantine,
                            .unsettled_after = landing.unsettled_after,
                            .only = landing.only,
                            .moves_aside = landing.moves_aside};
  if (!landing.is_remote()) return area;
  auto location = location_of(landing, settings);
  if (!location) return location.error();
  area.location = std::move(*location);
  return area;
}

Result<std::vector<landing::LandingArea>> landing_areas(const Settings& settings) {
  std::vector<landing::LandingArea> areas;
  for (const LandingSettings& landing : settings.landings) {
    auto area = landing_area(landing, settings);
    if (!area) return area.error();
    areas.push_back(std::move(*area));
  }
  return areas;
}

namespace {

/// A row without a label is one of the only area there is.
std::vector<std::string> labels_of(const LandingSettings& landing, const Settings& settings) {
  auto labels = whereabouts_of(landing).names;
  if (settings.landings.size() == 1) labels.emplace_back();
  return labels;
}

}  // namespace

std::set<std::string> landing_labels(const Settings& settings) {
  std::set<std::string> labels;
  for (const LandingSettings& landing : settings.landings) {
    for (std::string& label : labels_of(landing, settings)) labels.insert(std::move(label));
  }
  return labels;
}

Result<transfer::LandingPlaces> landing_places(const Settings& settings) {
  transfer::LandingPlaces places;
  for (const LandingSettings& landing : settings.landings) {
    auto area = landing_area(landing, settings);
    if (!area) return area.error();
    for (std::string& label : labels_of(landing, settings)) {
      if (area->location) {
        places.emplace(std::move(label), *area->location);
      } else {
        places.emplace(std::move(label), area->path);
      }
    }
  }
  return places;
}

std::map<std::string, std::string> landing_aliases(const Settings& settings) {
  std::map<std::string, std::string> aliases;
  for (const LandingSettings& landing : settings.landings) {
    for (std::string& name : whereabouts_of(landing).names) {
      if (name != landing.name) aliases.emplace(std::move(name), landing.name);
    }
  }
  return aliases;
}

namespace {

bool is_metastore(const fs::path& directory) {
  boost::system::error_code ignored;
  return std::ranges::any_of(
      std::array{"metastore.json", "file_registry.jsonl", "transfer_logs.jsonl"},
      [&](const char* name) { return fs::exists(directory / name, ignored); });
}

/// Another metastore beside DIRECTORY that may be meant.
std::string metastore_suggestion(const fs::path& directory) {
  std::vector<std::string> names;
  boost::system::error_code error;
  for (fs::directory_iterator entry(directory.parent_path(), error), end; !error && entry != end;
       entry.increment(error)) {
    if (is_metastore(entry->path())) names.push_back(entry->path().filename().string());
  }
  const std::vector<std::string_view> known(names.begin(), names.end());
  const auto near = closest(directory.filename().string(), known);
  return near ? fmt::format("; did you mean '{}'?",
                            (directory.parent_path() / std::string(*near)).string())
              : "";
}

/// A mistyped name must not become a new store. What cannot be looked at is left to who opens it.
Result<void> check_is_there(const fs::path& directory, Access access) {
  boost::system::error_code error;
  const auto status = fs::status(directory, error);
  if (access == Access::kCreate || is_metastore(directory)) return {};
  if (fs::exists(status) && !fs::is_directory(status)) return {};
  const bool is_empty = fs::is_directory(status) && fs::is_empty(directory, error) && !error;
  if (error && error != boost::system::errc::no_such_file_or_directory) return {};
  if (is_empty && access == Access::kWrite) return {};
  return make_error(ErrorKind::kNotFound,
                    "{} has no metastore: there is no metastore.json and no file_registry.jsonl{}",
                    directory.string(), metastore_suggestion(directory));
}

std::string quoted_for_shell(const std::string& word) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/:@+,%=~";
  if (!word.empty() && word.find_first_not_of(kPlain) == word.npos) return word;
  return sftp::shell_quoted(std::span(&word, 1));
}

/// Root that looks after the files of a service does so for the account that the service runs as.
void act_for_owner_of(const fs::path& directory) {
  struct stat status{};
  if (::stat(directory.c_str(), &status) == 0) act_for(status.st_uid, status.st_gid);
}

Result<void> check_is_given(const MetastoreLocation& location, Access access) {
  const bool is_by_default = location.text == default_metastore();
  const bool may_use =
      !is_by_default || access == Access::kCreate || is_metastore(location.directory());
  if (location.is_given() && may_use) return {};
  return make_error(ErrorKind::kInvalid,
                    "no metastore: give --metastore DIR, set FERRY_METASTORE, or write metastore = "
                    "\"DIR\" in a configuration file");
}

metastore::Options store_options(const Settings& settings) {
  return {.lock_timeout = settings.general.lock_timeout,
          .demand = make_demand(settings),
          .on_reading = show_reading()};
}

}  // namespace

Outcome<std::unique_ptr<metastore::Metastore>> open_store(const Settings& settings, Access access) {
  const MetastoreLocation& location = settings.general.metastore;
  if (const auto given = check_is_given(location, access); !given) return fail(given.error());
  if (location.is_directory()) {
    const auto found = check_is_there(location.directory(), access);
    if (!found) return fail(found.error());
  }
  auto opened = access == Access::kRead
                    ? metastore::open_metastore_for_reading(location.text, store_options(settings))
                    : metastore::open_metastore(location.text, store_options(settings));
  if (opened) {
    act_for_owner_of(state_directory(settings).path());
    return std::move(*opened);
  }
  const bool only_absent = access == Access::kRead && opened.error().kind == ErrorKind::kNotFound;
  return fail(opened.error(), only_absent ? Origin::kLocal : Origin::kMetastore);
}

Outcome<std::unique_ptr<metastore::Metastore>> open_store_to_work(const Settings& settings,
                                                                  Access access) {
  auto store = open_store(settings, access);
  if (!store) return store;
  const auto orphans = (*store)->upkeep().orphans();
  if (!orphans) return fail(orphans.error(), Origin::kMetastore);
  if (!orphans->registry_is_empty || orphans->rows == 0) return store;
  return fail(make_error(ErrorKind::kCorrupt,
                         "metastore {}: file_registry is empty, but transfer_logs has {} rows "
                         "that tell of its files: restore file_registry from a backup, or move "
                         "both tables away to begin anew (files that still lie in the landing "
                         "areas are then delivered again)",
                         settings.general.metastore.text, orphans->rows),
              Origin::kMetastore);
}

Outcome<metastore::Upgrade> upgrade_store(const Settings& settings) {
  const MetastoreLocation& location = settings.general.metastore;
  if (const auto given = check_is_given(location, Access::kWrite); !given)
    return fail(given.error());
  if (location.is_directory()) {
    const auto found = check_is_there(location.directory(), Access::kWrite);
    if (!found) return fail(found.error());
  }
  auto upgraded = metastore::upgrade_metastore(location.text, store_options(settings));
  if (!upgraded) return fail(upgraded.error(), Origin::kMetastore);
  return *upgraded;
}

std::string registering_command(const Arguments& arguments) {
  std::string command = "ferry watch --once";
  for (const char* flag : {"config", "landing", "metastore"}) {
    const auto found = arguments.flags.find(flag);
    if (found == arguments.flags.end()) continue;
    for (const std::string& word : found->second) {
      command += fmt::format(" --{} {}", flag, quoted_for_shell(word));
    }
  }
  return command;
}

}  // namespace ferry::app
