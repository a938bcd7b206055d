#include "app/routing.h"

#include <algorithm>

#include "app/option_values.h"
#include "app/setup.h"
#include "ferry/base/json.h"

namespace ferry::app {
namespace {

int level_or(std::uint64_t level, int otherwise) {
  return level > 0 ? static_cast<int>(level) : otherwise;
}

}  // namespace

TransformSettings transform_named(std::string_view name) {
  TransformSettings settings;
  settings.name = name;
  const auto types = choices(static_cast<const TransformType*>(nullptr));
  if (std::ranges::find(types, name) != types.end()) {
    [[maybe_unused]] const auto set = assign(settings.type, Value(std::string(name)), {});
  }
  return settings;
}

bool is_built_in_transform(std::string_view name) {
  const TransformType type = transform_named(name).type;
  return type != TransformType::kCommand && type != TransformType::kCharset;
}

transfer::TransformSpec make_transform(const TransformSettings& settings) {
  transfer::TransformSpec spec;
  spec.name = settings.name;
  switch (settings.type) {
    case TransformType::kGzip:
      spec.action = transfer::Gzip{level_or(settings.level, transfer::Gzip{}.level)};
      spec.suffix = ".gz";
      break;
    case TransformType::kZstd:
      spec.action = transfer::Zstd{level_or(settings.level, transfer::Zstd{}.level)};
      spec.suffix = ".zst";
      break;
    case TransformType::kLineEndings:
      spec.action = transfer::LineEndings{settings.ending};
      break;
    case TransformType::kCharset:
      spec.action = transfer::Charset{settings.from, settings.to};
      break;
    case TransformType::kCommand:
      spec.action = transfer::FilterCommand{settings.command.words, settings.time_limit};
      break;
  }
  spec.suffix = settings.suffix.value_or(spec.suffix);
  return spec;
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
  route.settle = settings.settle;
  route.after = settings.after;
  route.archive = settings.archive;
  return route;
}

std::shared_ptr<const transfer::Routes> make_routes(const Settings& settings) {
  if (settings.routes.empty()) return nullptr;
  std::vector<transfer::Route> routes;
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
