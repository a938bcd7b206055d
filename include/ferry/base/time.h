// Points in time as the tables write them: RFC 3339, UTC, milliseconds.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "ferry/base/result.h"

namespace ferry {

using Timestamp = std::chrono::sys_time<std::chrono::milliseconds>;

Timestamp now();

/// "2026-11-22T13:40:00.123Z".
std::string format_timestamp(Timestamp time);

/// RFC 3339 with any offset and any number of fractional digits (those past the third are cut), or
/// a bare date "2026-11-22", which means its midnight in UTC.
Result<Timestamp> parse_timestamp(std::string_view text);

/// A half-open span of time; an absent end is unbounded.
struct TimeRange {
  std::optional<Timestamp> since{};  // included
  std::optional<Timestamp> until{};  // excluded

  bool contains(Timestamp time) const {
    return (!since || *since <= time) && (!until || time < *until);
  }
};

/// The whole UTC day that TEXT names: "2026-11-22", "today" or "yesterday" (as seen at NOW).
Result<TimeRange> parse_day(std::string_view text, Timestamp now);

}  // namespace ferry
