// Destinations that this host's agents cannot reach, as all reports tell of them.
#pragma once

#include <vector>

#include "app/config/settings.h"
#include "ferry/base/outages.h"

namespace ferry::app {

/// A destination that the configuration does not have (any more) counts for a day after the last
/// try: nobody may ever try it again.
Result<std::vector<Outage>> unreachable_destinations(const Settings& settings, Timestamp time);

}  // namespace ferry::app
