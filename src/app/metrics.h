// What the metastore tells a monitoring system.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "ferry/metastore/metastore.h"

namespace ferry::app {

/// Metrics in the text format of Prometheus, as of TIME.
std::string to_prometheus(std::span<const metastore::Totals> destinations,
                          std::uint64_t damaged_rows, Timestamp time);

}  // namespace ferry::app
