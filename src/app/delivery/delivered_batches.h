// What a destination was given, as transfer_logs tells: the batches to look at, and what failed.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ferry/base/result.h"
#include "ferry/base/time.h"
#include "ferry/metastore/metastore.h"

namespace ferry::app {

struct DeliveryQuery {
  std::string destination;
  TimeRange registered;                               // the file's updated_date
  std::optional<Timestamp> recorded_since;            // the delivery's transfer_date
  std::function<bool(std::string_view)> has_landing;  // of the registry's `landing`
};

struct DeliveredBatches {
  struct Undelivered {
    std::string path;
    std::string reason;
  };
  std::vector<std::string> ids;          // each once, by age
  std::vector<Undelivered> undelivered;  // tried, still wanted, and not there
};

/// Files that no agent has tried to deliver so far are left out.
Result<DeliveredBatches> find_delivered_batches(metastore::Metastore& metastore,
                                                const DeliveryQuery& query);

}  // namespace ferry::app
