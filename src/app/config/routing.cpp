#include "app/config/routing.h"

#include <algorithm>
#include <limits>

#include "app/config/landing_areas.h"
#include "ferry/base/json.h"

namespace ferry::app {
TransformSettings transform_named(std::string_view name) {
  TransformSettings settings;
  settings.name = name;
  if (const auto* type = transfer::find_transform_type(name)) settings.type = type;
  return settings;
}

transfer::TransformSettings make_transform(const TransformSettings& settings) {
  constexpr std::uint64_t kMostLevel = std::numeric_limits<int>::max();
  return {.name = settings.name,
          .type = settings.type,
          .suffix = settings.suffix,
          .level = static_cast<int>(std::min(settings.level, kMostLevel)),
          .ending = settings.ending,
          .from = settings.from,
          .to = settings.to,
          .command = settings.command.words,
          .time_limit = settings.time_limit};
}

transfer::Route make_route(const RouteSettings& settings, const Settings& all) {
  transfer::Route route;
  route.name = settings.name;
  for (const std::string& pattern : settings.match) route.match.emplace_back(pattern);
  route.landings = settings.landing;
  route.destinations = settings.to;
  for (const std::string& name : settings.transforms) {
    const auto known = std::ranges::find(all.transforms, name, &TransformSettings::name);
    route.transforms.push_back(
        make_transform(known != all.transforms.end() ? *known : transform_named(name)));
  }
  route.rename = settings.rename.pattern;
  route.acceptance = acceptance_policy(settings);
  route.delay = settings.delay;
  route.existing = settings.existing;
  const auto preserves = [&](transfer::Preserve what) {
    return std::ranges::find(settings.preserve, what) != settings.preserve.end();
  };
  route.preserves_mtime = preserves(transfer::Preserve::kMtime);
  route.preserves_mode = preserves(transfer::Preserve::kMode);
  route.after = settings.after;
  route.archive = settings.archive;
  route.order = settings.order;
  route.priority = static_cast<std::int64_t>(settings.priority);
  return route;
}

std::shared_ptr<const transfer::Routes> make_routes(const Settings& settings) {
  if (settings.routes.empty()) return nullptr;
  std::vector<transfer::Route> routes;
  routes.reserve(settings.routes.size());
  for (const RouteSettings& route : settings.routes) routes.push_back(make_route(route, settings));
  return std::make_shared<transfer::Routes>(settings.general.routing, std::move(routes));
}

namespace {

/// All of the routes that decides who gets a file, and whether it is taken away after that.
std::string decisive_text(const Settings& settings) {
  Json routes = Json::array();
  for (const RouteSettings& route : settings.routes) {
    routes.push_back({{"match", route.match},
                      {"landing", route.landing},
                      {"to", route.to},
                      {"after", static_cast<int>(route.after)}});
  }
  return to_text(
      Json{{"routing", static_cast<int>(settings.general.routing)}, {"routes", std::move(routes)}});
}

}  // namespace

metastore::Demand make_demand(const Settings& settings) {
  metastore::Demand demand;
  demand.destinations = settings.configured_destinations;
  demand.landing_aliases = landing_aliases(settings);
  demand.has_several_landings =
      std::max(settings.configured_landings, settings.landings.size()) > 1;
  demand.max_attempts = settings.transfer.max_attempts.value;
  const auto routes = make_routes(settings);
  if (!routes) return demand;
  demand.routing = decisive_text(settings);
  demand.wanted_by = [routes](std::string_view landing, const std::string& path) {
    return routes->wanted_by(landing, path);
  };
  demand.is_taken_away = [routes](std::string_view landing, const std::string& path) {
    const transfer::Route* route = routes->route_after_delivery(landing, path);
    return route != nullptr && route->after != transfer::AfterDelivery::kKeep;
  };
  return demand;
}

}  // namespace ferry::app
