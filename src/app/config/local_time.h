// Days and times as people say them, in the time zone of the process.
#pragma once

#include <string>
#include <string_view>

#include "ferry/base/result.h"
#include "ferry/base/time.h"

namespace ferry::app {

/// kInvalid unless NAME is a zone that this host's tzdata has.
Result<void> check_time_zone(const std::string& name);

/// From now on the process's time zone is NAME; empty: the host's. To be called before there are
/// threads; kInvalid for another one later on.
Result<void> use_time_zone(const std::string& name);

/// "2026-11-25 21:00:00 CET".
std::string format_local(Timestamp time);
/// "2026-11-25".
std::string format_local_date(Timestamp time);

/// When the clocks show TIME_OF_DAY, so many DAYS_LATER than on the day of TIME.
Timestamp local_time_on(Timestamp time, int days_later, std::chrono::minutes time_of_day);

/// 0 is Sunday.
unsigned local_weekday(Timestamp time);

/// A time before NOW ("2h", "1d12h"), "now", "today", "yesterday", a day or a time of the process's
/// zone ("2026-11-25", "2026-11-25 21:00"), or RFC 3339 with an offset. A time that the clocks skip
/// is the one an hour later, one that comes twice is the first.
Result<Timestamp> parse_point(std::string_view text, Timestamp now);

/// The whole day that TEXT names: "2026-11-22", "today" or "yesterday". Where clocks are set it has
/// 23 or 25 hours.
Result<TimeRange> parse_local_day(std::string_view text, Timestamp now);

}  // namespace ferry::app
