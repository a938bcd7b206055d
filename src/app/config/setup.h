// From a command line to what the modules need: effective settings, checked and resolved.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "app/commands/command.h"
#include "app/config/settings.h"
#include "ferry/landing/watch.h"
#include "ferry/metastore/metastore.h"
#include "ferry/transfer/agent.h"

namespace ferry::app {

/// Command line over environment over file over default. Sets up the log.
Result<Settings> effective_settings(const Arguments& arguments);

/// What the command line says of landing areas, for one that nothing else says anything of.
Result<LandingSettings> landing_by_flags(const Arguments& arguments);

enum class Presence : std::uint8_t { kOfAll, kOfAny };
/// kInvalid unless there is a metastore, and at least one landing area, all or any of them
/// directories that are there, none of which holds the metastore where a watcher would see it.
Result<void> check_landings(const Settings& settings, Presence presence = Presence::kOfAll);

/// A landing area as watchers and uploads want it.
Result<landing::LandingArea> landing_area(const LandingSettings& landing, const Settings& settings);
Result<std::vector<landing::LandingArea>> landing_areas(const Settings& settings);

AcceptancePolicy acceptance_policy(const AcceptanceSettings& settings);

/// Every label that the registry may have for a landing area.
std::set<std::string> landing_labels(const Settings& settings);

/// Landing areas by their labels.
Result<transfer::LandingPlaces> landing_places(const Settings& settings);

/// The labels that files of an area have where it was watched by its path before it got a name.
std::map<std::string, std::string> landing_aliases(const Settings& settings);

enum class Access {
  kRead,
  kWrite,   // one that is there; or in an empty directory, which somebody made for it
  kCreate,  // makes it if there is none
};
/// kNotFound, with a suggestion, if there is no metastore and ACCESS makes none.
Outcome<std::unique_ptr<metastore::Metastore>> open_store(const Settings& settings, Access access);

/// For those who register or deliver files: also kCorrupt if the registry was lost and the logs
/// were not. What still lies in the landing areas would be registered anew, and delivered twice.
Outcome<std::unique_ptr<metastore::Metastore>> open_store_to_work(const Settings& settings,
                                                                  Access access);

/// Brings the metastore's tables to this ferry's version; those in a database are made if there are
/// none.
Outcome<metastore::Upgrade> upgrade_store(const Settings& settings);

/// For messages: how to register what lies in the landing areas of ARGUMENTS.
std::string registering_command(const Arguments& arguments);

}  // namespace ferry::app
