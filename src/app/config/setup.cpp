#include "app/config/setup.h"

#include <algorithm>
#include <boost/filesystem/operations.hpp>

#include "app/config/config_file.h"
#include "app/config/local_time.h"
#include "app/config/placement.h"
#include "app/config/secrets.h"
#include "app/config/text.h"
#include "app/config/usual_places.h"
#include "ferry/base/log.h"

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
    if (!word.starts_with('/') && without_password(word) != word) {
      return make_error(ErrorKind::kInvalid,
                        "'{}' is no directory: write sftp://user@host/directory, and the password "
                        "into FERRY_PASSWORD or a password_file",
                        without_password(word));
    }
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

/// Of those that are configured it is their routes that keep them apart.
Result<void> check_apart(const Settings& settings,
                         const std::vector<DestinationSettings>& selected) {
  const auto is_configured = [&](const DestinationSettings& one) {
    const auto& names = settings.configured_destinations;
    return std::ranges::find(names, one.name) != names.end();
  };
  for (auto one = selected.begin(); one != selected.end(); ++one) {
    const auto other = std::find_if(std::next(one), selected.end(), [&](const auto& later) {
      return later.name != one->name && is_same_place(later.url, one->url) &&
             !(is_configured(later) && is_configured(*one));
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
                          without_password(word));
      }
      return make_error(ErrorKind::kInvalid,
                        "--to: '{}' is neither an sftp:// URL nor a configured destination{}",
                        without_password(word), meant);
    }
    DestinationSettings given;
    const auto stored = option.set({&settings, nullptr, &given, {}}, word);
    if (!stored) return option_error(option, stored.error());
    given.name = given.url.to_string();
    selected.push_back(std::move(given));
  }
  if (auto apart = check_apart(settings, selected); !apart) return apart;
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

}  // namespace ferry::app
