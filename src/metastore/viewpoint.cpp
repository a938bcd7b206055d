#include "metastore/viewpoint.h"

#include <algorithm>

#include "ferry/base/hash.h"
#include "ferry/base/uuid.h"

namespace ferry::metastore {
namespace {

bool asks(const Demand& demand) {
  return demand.wanted_by || demand.is_taken_away;
}

/// Whether nobody else can tell what its functions answer.
bool is_private_demand(const Demand& demand) {
  return asks(demand) && demand.routing.empty();
}

std::string fingerprint_of(const Demand& demand) {
  if (is_private_demand(demand)) return uuid_v7();
  std::string text =
      fmt::format("{} {}\n", demand.max_attempts, demand.has_several_landings ? "several" : "one");
  const auto add = [&](std::string_view part) {
    text += fmt::format("{}:{}\n", part.size(), part);
  };
  for (const std::string& destination : demand.destinations) add(destination);
  add("");
  for (const auto& [label, name] : demand.landing_aliases) {
    add(label);
    add(name);
  }
  add("");
  if (asks(demand)) add(demand.routing);
  return sha256_of(text).to_string();
}

}  // namespace

Viewpoint::Viewpoint(Demand known)
    : demand(std::move(known)),
      fingerprint(fingerprint_of(demand)),
      is_private(is_private_demand(demand)) {}

const std::string& Viewpoint::canonical(const std::string& landing) const {
  const auto alias = demand.landing_aliases.find(landing);
  return alias == demand.landing_aliases.end() ? landing : alias->second;
}

std::vector<std::string> Viewpoint::labels_of(std::string_view landing) const {
  std::vector<std::string> labels{std::string(landing)};
  for (const auto& [label, name] : demand.landing_aliases) {
    if (name == landing && label != landing) labels.push_back(label);
  }
  return labels;
}

std::shared_ptr<const Viewpoint> viewpoint_for(std::shared_ptr<const Viewpoint> viewpoint,
                                               const std::string& destination) {
  const Demand& demand = viewpoint->demand;
  const bool is_known =
      destination.empty() ||
      std::ranges::find(demand.destinations, destination) != demand.destinations.end();
  if (is_known) return viewpoint;
  Demand alone{.destinations = {destination},
               .wanted_by = {},
               .is_taken_away = {},
               .routing = {},
               .landing_aliases = demand.landing_aliases,
               .has_several_landings = demand.has_several_landings,
               .max_attempts = demand.max_attempts};
  return std::make_shared<const Viewpoint>(std::move(alone));
}

}  // namespace ferry::metastore
