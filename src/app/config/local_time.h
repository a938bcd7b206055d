// Days and times as people say them, in the time zone of the process, or in another.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
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

/// A day of the calendar, which begins at different times in different zones.
using Date = std::chrono::local_days;

/// "2026-11-25".
std::string format_date(Date date);

/// What clocks and calendars show in a time zone. Cheap to copy.
class Clocks {
 public:
  /// Those of the process.
  Clocks() = default;
  /// Those of the zone NAME; empty: those of the process. kInvalid: see check_time_zone.
  static Result<Clocks> in_zone(const std::string& name);

  /// "2026-11-25 21:00:00 CET".
  std::string format(Timestamp time) const;
  Date date(Timestamp time) const;
  /// When they show TIME_OF_DAY on DATE. One that they skip is the one an hour later; one that they
  /// show twice is the first.
  Timestamp time_on(Date date, std::chrono::minutes time_of_day) const;

 private:
  struct Zone;
  std::shared_ptr<const Zone> zone_{};  // null: the process's
};

/// The same as Clocks().format(time).
std::string format_local(Timestamp time);

/// A day as people say it: "2026-11-22", "today" or "yesterday".
struct NamedDay {
  std::optional<Date> date{};
  std::chrono::days before_today{0};  // if there is no date

  Date on(Date today) const { return date.value_or(today - before_today); }
};
Result<NamedDay> parse_day(std::string_view text);

/// A time before NOW ("2h", "1d12h"), "now", "today", "yesterday", a day or a time of the process's
/// zone ("2026-11-25", "2026-11-25 21:00"), or RFC 3339 with an offset. A time that the clocks skip
/// is the one an hour later, one that comes twice is the first.
Result<Timestamp> parse_point(std::string_view text, Timestamp now);

/// The whole day that TEXT names, see parse_day, in the process's zone. If clocks are set in it, it
/// has 23 or 25 hours.
Result<TimeRange> parse_local_day(std::string_view text, Timestamp now);

}  // namespace ferry::app
