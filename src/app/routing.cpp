#include "app/routing.h"

#include <algorithm>

#include "app/option_values.h"
#include "app/setup.h"

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

metastore::WantedBy wanted_by(const Settings& settings) {
  const bool has_several_areas =
      std::max(settings.configured_landings, settings.landings.size()) > 1;
  const auto& configured = settings.configured_destinations;
  auto routes = make_routes(settings);
  if (!routes && (!has_several_areas || configured.empty())) return {};
  auto everybody = std::make_shared<const std::vector<std::string>>(configured);
  return [has_several_areas, routes = std::move(routes), everybody = std::move(everybody)](
             std::string_view landing, const std::string& path) -> std::vector<std::string_view> {
    if (has_several_areas && landing.empty()) return {};
    if (routes) return routes->wanted_by(landing, path);
    return {everybody->begin(), everybody->end()};
  };
}

}  // namespace ferry::app
