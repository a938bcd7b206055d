// What is told to a person or a monitoring system of all files together.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "app/report/expectations.h"
#include "ferry/base/outages.h"
#include "ferry/base/untaken.h"
#include "ferry/metastore/metastore.h"

namespace ferry::app {

struct Overview {
  std::vector<metastore::Totals> totals;  // of each destination, or of the one that was asked for
  std::uint64_t damaged_rows = 0;
  std::uint64_t orphaned_rows = 0;  // see metastore::Upkeep::Orphans
  std::vector<ExpectedDay> late;    // its pointers are those of the settings
  std::vector<Outage> outages;      // as this host's agents see it
  std::optional<Untaken> untaken;
};

/// Of all destinations, or of DESTINATION.
Result<Overview> look_at_all(metastore::Metastore& metastore, const Settings& settings,
                             const std::optional<std::string>& destination = std::nullopt);

/// In the text format of Prometheus, as of TIME.
std::string to_prometheus(const Overview& overview, const Settings& settings, Timestamp time);

}  // namespace ferry::app
