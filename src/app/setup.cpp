#include "app/setup.h"

#include <pwd.h>

#include <algorithm>
#include <boost/filesystem/operations.hpp>
#include <cstdlib>

#include "app/config_file.h"
#include "app/routing.h"
#include "app/text.h"

namespace ferry::app {
namespace {

std::optional<std::string> environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return std::string(value);
}

fs::path working_directory() {
  boost::system::error_code ignored;
  return fs::current_path(ignored);
}

const Option& selecting_option(Section section) {
  return *std::ranges::find_if(
      options(), [&](const Option& option) { return option.selects && option.section == section; });
}

Error option_error(const Option& option, const Error& error) {
  return error.with_context(fmt::format("--{}", option.flag));
}

Result<void> select_landings(Settings& settings, const std::vector<std::string>& words) {
  const Option& option = selecting_option(Section::kLanding);
  std::vector<LandingSettings> selected;
  for (const std::string& word : words) {
    LandingSettings given;
    Settings unused;
    const auto stored = option.set({&unused, &given, nullptr, working_directory()}, word);
    if (!stored) return option_error(option, stored.error());
    const auto known = std::ranges::find_if(settings.landings, [&](const LandingSettings& landing) {
      return landing.name == word || landing.path == given.path;
    });
    if (known != settings.landings.end()) given = *known;
    if (given.name.empty()) given.name = given.path.string();
    selected.push_back(std::move(given));
  }
  settings.landings = std::move(selected);
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
      return make_error(ErrorKind::kInvalid,
                        "--to: '{}' is neither an sftp:// URL nor a configured destination{}", word,
                        suggestion(word, names));
    }
    DestinationSettings given;
    const auto stored = option.set({&settings, nullptr, &given, {}}, word);
    if (!stored) return option_error(option, stored.error());
    given.name = given.url.to_string();
    selected.push_back(std::move(given));
  }
  settings.destinations = std::move(selected);
  return {};
}

void apply_environment(Settings& settings) {
  if (const auto directory = environment("FERRY_METASTORE")) {
    settings.general.metastore = fs::absolute(*directory, working_directory());
  }
  for (DestinationSettings& destination : settings.destinations) {
    if (auto password = environment("FERRY_PASSWORD")) {
      destination.password = std::move(*password);
      destination.password_file.clear();
    }
    if (auto passphrase = environment("FERRY_PASSPHRASE")) {
      destination.passphrase = std::move(*passphrase);
      destination.passphrase_file.clear();
    }
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

fs::path resolved(const fs::path& path) {
  boost::system::error_code error;
  fs::path real = fs::weakly_canonical(path, error);
  return error ? path.lexically_normal() : real;
}

std::string own_user() {
  const passwd* entry = ::getpwuid(::geteuid());
  return entry != nullptr ? entry->pw_name : environment("USER").value_or("");
}

/// A secret's file holds it on its first line.
Result<std::string> read_secret(const fs::path& file) {
  auto text = read_file(file);
  if (!text) return text.error();
  return text->substr(0, text->find_first_of("\r\n"));
}

}  // namespace

fs::path configuration_file(const Arguments& arguments) {
  const auto given = arguments.last("config");
  const auto name = given ? given : environment("FERRY_CONFIG");
  return name ? fs::absolute(*name, working_directory()) : fs::path();
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
  log::init(settings.log.level, settings.log.format);
  return settings;
}

bool is_visible_inside(const fs::path& inner, const fs::path& outer) {
  const fs::path relative = resolved(inner).lexically_relative(resolved(outer));
  if (relative.empty() || *relative.begin() == "..") return false;
  if (relative == ".") return true;
  return std::none_of(relative.begin(), relative.end(),
                      [](const fs::path& part) { return part.string().starts_with("."); });
}

namespace {

Result<void> check_apart(const std::vector<LandingSettings>& landings) {
  for (auto one = landings.begin(); one != landings.end(); ++one) {
    for (auto other = std::next(one); other != landings.end(); ++other) {
      if (!is_visible_inside(one->path, other->path) &&
          !is_visible_inside(other->path, one->path)) {
        continue;
      }
      return make_error(ErrorKind::kInvalid,
                        "landing areas {} and {} overlap: their files would be delivered twice",
                        one->path.string(), other->path.string());
    }
  }
  return {};
}

}  // namespace

Result<void> check_landings(const Settings& settings) {
  if (settings.landings.empty()) {
    return make_error(ErrorKind::kInvalid,
                      "no landing area: give --landing DIR, or [landing.NAME] in a configuration "
                      "file");
  }
  for (const LandingSettings& landing : settings.landings) {
    boost::system::error_code error;
    if (!fs::is_directory(landing.path, error)) {
      return make_error(ErrorKind::kInvalid, "landing area {}: {}", landing.path.string(),
                        error ? error.message() : "is not a directory");
    }
    for (const LandingSettings& other : settings.landings) {
      if (other.quarantine.empty() || !is_visible_inside(other.quarantine, landing.path)) continue;
      return make_error(ErrorKind::kInvalid,
                        "quarantine {} lies in the landing area {}: its files would be taken for "
                        "files that landed; put it elsewhere on the same file system, or below a "
                        "dot directory",
                        other.quarantine.string(), landing.path.string());
    }
    if (is_visible_inside(settings.general.metastore, landing.path)) {
      return make_error(ErrorKind::kInvalid,
                        "metastore {} lies in the landing area {}: its tables would be taken for "
                        "files that landed; put it elsewhere, or below a dot directory",
                        settings.general.metastore.string(), landing.path.string());
    }
    const fs::path& spool = settings.transfer.spool;
    if (!spool.empty() && is_visible_inside(spool, landing.path)) {
      return make_error(
          ErrorKind::kInvalid,
          "spool {} lies in the landing area {}: transformed files would be taken for "
          "files that landed; put it elsewhere, or below a dot directory",
          spool.string(), landing.path.string());
    }
  }
  return check_apart(settings.landings);
}

AcceptancePolicy acceptance_policy(const AcceptanceSettings& settings) {
  return {.empty = settings.empty,
          .min_size = settings.min_size.value_or(Bytes{}).value,
          .max_size = settings.max_size.value_or(Bytes{}).value,
          .extensions = settings.extensions,
          .magic = settings.magic,
          .validate = settings.validate,
          .validate_timeout = settings.validate_timeout};
}

landing::LandingArea landing_area(const LandingSettings& landing) {
  AcceptancePolicy acceptance = acceptance_policy(landing);
  acceptance.min_age = landing.min_age;
  return {.name = landing.name,
          .path = landing.path,
          .ignore = landing.ignore,
          .settle = landing.settle,
          .acceptance = std::move(acceptance),
          .quarantine = landing.quarantine,
          .unsettled_after = landing.unsettled_after};
}

std::vector<landing::LandingArea> landing_areas(const Settings& settings) {
  std::vector<landing::LandingArea> areas;
  for (const LandingSettings& landing : settings.landings) areas.push_back(landing_area(landing));
  return areas;
}

fs::path upload_journals(const Settings& settings) {
  return settings.general.metastore / "uploads";
}

std::map<std::string, fs::path> landing_directories(const Settings& settings) {
  std::map<std::string, fs::path> directories;
  for (const LandingSettings& landing : settings.landings) {
    directories.emplace(landing.name, landing.path);
    directories.emplace(landing.path.string(), landing.path);
    directories.emplace(resolved(landing.path).string(), landing.path);
  }
  if (settings.landings.size() == 1) directories.emplace("", settings.landings.front().path);
  return directories;
}

Result<transfer::Destination> resolve_destination(const DestinationSettings& destination,
                                                  const TransferSettings& transfer) {
  transfer::Destination resolved{
      .name = destination.name,
      .connect = {},
      .directory = destination.url.directory,
      .control_directory = destination.control_dir,
      .control_name = destination.control_name.pattern,
      .connections = static_cast<unsigned>(destination.connections.value),
      .bandwidth = destination.bandwidth_limit.is_off() ? transfer.bandwidth_limit
                                                        : destination.bandwidth_limit};
  sftp::ConnectOptions& connect = resolved.connect;
  connect.host = destination.url.host;
  connect.port = destination.url.port;
  connect.transport = destination.transport;
  connect.user = destination.url.user;
  // ssh has its own idea: ssh_config(5), User.
  if (connect.user.empty() && connect.transport != sftp::Transport::kOpenSsh) {
    connect.user = own_user();
  }
  connect.identities = destination.identity;
  connect.use_agent = destination.use_agent;
  connect.known_hosts = destination.known_hosts;
  connect.accept_new_host_key = destination.accept_new_host_key;
  connect.timeout = transfer.connect_timeout;
  connect.password = destination.password;
  connect.passphrase = destination.passphrase;
  if (!destination.password_file.empty()) {
    auto secret = read_secret(destination.password_file);
    if (!secret) return secret.error().with_context("password_file");
    connect.password = std::move(*secret);
  }
  if (!destination.passphrase_file.empty()) {
    auto secret = read_secret(destination.passphrase_file);
    if (!secret) return secret.error().with_context("passphrase_file");
    connect.passphrase = std::move(*secret);
  }
  return resolved;
}

std::map<std::string, std::string> landing_aliases(const Settings& settings) {
  std::map<std::string, std::string> aliases;
  for (const LandingSettings& landing : settings.landings) {
    for (const fs::path& path : {landing.path, resolved(landing.path)}) {
      if (path.string() != landing.name) aliases.emplace(path.string(), landing.name);
    }
  }
  return aliases;
}

Outcome<std::unique_ptr<metastore::Metastore>> open_store(const Settings& settings, Access access) {
  const fs::path& directory = settings.general.metastore;
  if (directory.empty()) {
    return fail(make_error(ErrorKind::kInvalid,
                           "no metastore: give --metastore DIR, set FERRY_METASTORE, or write "
                           "metastore = \"DIR\" in a configuration file"));
  }
  const metastore::Options options{.lock_timeout = settings.general.lock_timeout,
                                   .destinations = settings.configured_destinations,
                                   .wanted_by = wanted_by(make_routes(settings)),
                                   .landing_aliases = landing_aliases(settings),
                                   .max_attempts = settings.transfer.max_attempts.value};
  auto opened = access == Access::kWrite
                    ? metastore::open_metastore(directory, options)
                    : metastore::open_metastore_for_reading(directory, options);
  if (opened) return std::move(*opened);
  const bool only_absent = access == Access::kRead && opened.error().kind == ErrorKind::kNotFound;
  return fail(opened.error(), only_absent ? Origin::kLocal : Origin::kMetastore);
}

}  // namespace ferry::app
