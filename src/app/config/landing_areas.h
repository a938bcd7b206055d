// From the settings of landing areas to what the modules need of them.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "app/config/settings.h"
#include "ferry/landing/watch.h"
#include "ferry/transfer/landing_places.h"

namespace ferry::app {

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

}  // namespace ferry::app
