// From the settings of routes and transforms to what the transfer module works with.
#pragma once

#include <memory>
#include <string_view>

#include "app/config/settings.h"
#include "ferry/metastore/metastore.h"
#include "ferry/transfer/routes.h"

namespace ferry::app {

/// A transform without settings of its own. One that is called like a type is of this type.
TransformSettings transform_named(std::string_view name);

transfer::TransformSettings make_transform(const TransformSettings& settings);

transfer::Route make_route(const RouteSettings& route, const Settings& settings);

/// Null if no route is configured: every file goes to every destination, as it is.
std::shared_ptr<const transfer::Routes> make_routes(const Settings& settings);

/// Who wants which files, for the metastore.
metastore::Demand make_demand(const Settings& settings);

}  // namespace ferry::app
