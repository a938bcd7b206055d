// Files that should come every day, and whether they have.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/config/local_time.h"
#include "app/config/settings.h"
#include "ferry/base/json.h"
#include "ferry/base/time.h"
#include "ferry/metastore/metastore.h"

namespace ferry::app {

enum class Arrival : std::uint8_t {
  kAwaited,  // they have time yet
  kArrived,
  kLate,      // and not there
  kCameLate,  // and are there
};
std::string_view to_string(Arrival arrival);  // "awaited", "arrived", "late", "came late"

/// One expectation on one day. What is registered from that day on, until the next such day, is
/// held against it; several versions of a path count once.
struct ExpectedDay {
  const ExpectSettings* expectation = nullptr;
  Clocks clocks{};  // of its time zone
  Date date{};
  TimeRange registered{};
  Timestamp deadline{};
  std::int64_t landed = 0;
  std::int64_t arrived = 0;             // at every destination that wants them
  std::vector<std::string> lacking{};   // destinations that want one that landed, and have it not
  std::optional<Timestamp> complete{};  // since when enough of them are there
  Arrival arrival = Arrival::kAwaited;
};

Json to_json(const ExpectedDay& day);
Json to_json(const std::vector<ExpectedDay>& days);

/// Those of DAY, which each takes in its own time zone, as of NOW.
Result<std::vector<ExpectedDay>> expected_on(metastore::Metastore& metastore,
                                             const Settings& settings, const NamedDay& day,
                                             Timestamp now);

/// Of each expectation the day whose deadline has passed last, if it is late at NOW.
Result<std::vector<ExpectedDay>> late_now(metastore::Metastore& metastore, const Settings& settings,
                                          Timestamp now);

}  // namespace ferry::app
