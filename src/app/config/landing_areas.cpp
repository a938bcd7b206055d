#include "app/config/landing_areas.h"

#include <boost/filesystem/operations.hpp>

#include "app/config/connections.h"
#include "app/config/placement.h"

namespace ferry::app {

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

}  // namespace ferry::app
