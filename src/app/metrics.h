// What the metastore tells a monitoring system.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "app/expectations.h"
#include "ferry/metastore/metastore.h"

namespace ferry::app {

/// Metrics in the text format of Prometheus, as of TIME.
std::string to_prometheus(std::span<const metastore::Totals> destinations,
                          std::uint64_t damaged_rows, Timestamp time);

/// Whether each of the configuration's expectations is late, given those that are.
std::string late_to_prometheus(const Settings& settings, std::span<const ExpectedDay> late);

}  // namespace ferry::app
