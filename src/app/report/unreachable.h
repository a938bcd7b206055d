// Destinations that this host's agents cannot reach, as all reports tell of them.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "app/config/settings.h"
#include "ferry/base/outages.h"
#include "ferry/metastore/metastore.h"

namespace ferry::app {

/// A destination that the configuration does not have (any more) counts for a day after the last
/// try: nobody may ever try it again.
Result<std::vector<Outage>> unreachable_destinations(const Settings& settings, Timestamp time);

/// Of all TOTALS those with what waits for DESTINATION; until a log names it, that is what nobody
/// has got yet. Null: nothing waits.
const metastore::Totals* waiting_for(std::span<const metastore::Totals> totals,
                                     std::string_view destination);

}  // namespace ferry::app
