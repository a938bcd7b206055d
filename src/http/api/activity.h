// Deliveries of the last day, minute by minute, counted as they are asked for.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

#include "ferry/base/result.h"
#include "ferry/base/time.h"
#include "ferry/metastore/metastore.h"

namespace ferry::http {

/// Thread-safe.
class Activity {
 public:
  struct Count {
    std::uint64_t files = 0;
    std::uint64_t bytes = 0;
  };

  /// Of each of the last COUNT spans of STEP minutes, the oldest first; the last one ends with the
  /// minute of NOW. At most a day. Only what is new is looked up.
  Result<std::vector<Count>> counts(metastore::Metastore& store, Timestamp now, std::size_t count,
                                    std::chrono::minutes step);

 private:
  Result<void> update(metastore::Metastore& store, Timestamp now);

  using Minute = std::chrono::sys_time<std::chrono::minutes>;
  std::mutex mutex_;
  std::map<Minute, Count> minutes_;
  Timestamp updated_{};
};

}  // namespace ferry::http
