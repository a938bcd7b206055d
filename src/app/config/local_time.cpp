#include "app/config/local_time.h"

#include <array>
#include <boost/filesystem/operations.hpp>
#include <charconv>
#include <cstdlib>
#include <ctime>
#include <optional>

#include "app/config/units.h"
#include "ferry/base/file.h"

namespace ferry::app {
namespace {

/// A date, and perhaps a time of day, of the calendar.
struct Reading {
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
};

/// Digits of FORMAT's shape ("dddd-dd-dd"), any other letter stands for itself; a space also for T.
bool matches(std::string_view text, std::string_view format) {
  if (text.size() != format.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool is_digit = text[i] >= '0' && text[i] <= '9';
    const bool is_gap = format[i] == ' ' && (text[i] == ' ' || text[i] == 'T');
    if (format[i] == 'd' ? !is_digit : text[i] != format[i] && !is_gap) return false;
  }
  return true;
}

int number(std::string_view text, std::size_t at, std::size_t size) {
  int value = 0;
  std::from_chars(text.data() + at, text.data() + at + size, value);
  return value;
}

std::optional<Reading> read_calendar(std::string_view text) {
  constexpr std::string_view kShape = "dddd-dd-dd dd:dd:dd";
  const std::size_t size = text.size();
  if (size != 10 && size != 16 && size != 19) return std::nullopt;
  if (!matches(text, kShape.substr(0, size))) return std::nullopt;
  Reading reading{number(text, 0, 4), number(text, 5, 2), number(text, 8, 2)};
  if (size >= 16) {
    reading.hour = number(text, 11, 2);
    reading.minute = number(text, 14, 2);
  }
  if (size == 19) reading.second = number(text, 17, 2);
  const std::chrono::year_month_day date{std::chrono::year(reading.year),
                                         std::chrono::month(static_cast<unsigned>(reading.month)),
                                         std::chrono::day(static_cast<unsigned>(reading.day))};
  const bool is_time = reading.hour < 24 && reading.minute < 60 && reading.second < 61;
  return date.ok() && is_time ? std::optional(reading) : std::nullopt;
}

Timestamp in_local_zone(const Reading& reading, int days_later = 0) {
  std::tm fields{};
  fields.tm_year = reading.year - 1900;
  fields.tm_mon = reading.month - 1;
  fields.tm_mday = reading.day + days_later;
  fields.tm_hour = reading.hour;
  fields.tm_min = reading.minute;
  fields.tm_sec = reading.second;
  fields.tm_isdst = -1;
  return Timestamp(std::chrono::seconds(std::mktime(&fields)));
}

std::tm local_fields(Timestamp time) {
  const std::time_t seconds =
      std::chrono::system_clock::to_time_t(std::chrono::floor<std::chrono::seconds>(time));
  std::tm fields{};
  ::localtime_r(&seconds, &fields);
  return fields;
}

std::string format_fields(const char* format, Timestamp time) {
  const std::tm fields = local_fields(time);
  std::array<char, 64> buffer;
  return {buffer.data(), std::strftime(buffer.data(), buffer.size(), format, &fields)};
}

std::optional<Reading> read_day(std::string_view text, Timestamp now) {
  if (text != "today" && text != "yesterday") {
    return text.size() == 10 ? read_calendar(text) : std::nullopt;
  }
  const std::tm today = local_fields(now);
  return Reading{today.tm_year + 1900, today.tm_mon + 1,
                 today.tm_mday - (text == "yesterday" ? 1 : 0)};
}

}  // namespace

Result<void> check_time_zone(const std::string& name) {
  const bool is_plain =
      !name.empty() && name.front() != '/' && name.find("..") == name.npos &&
      name.find_first_not_of(
          "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-_/") == name.npos;
  const char* given = std::getenv("TZDIR");
  const fs::path zones = given != nullptr ? given : "/usr/share/zoneinfo";
  boost::system::error_code error;
  if (name == "UTC" || (is_plain && fs::is_regular_file(zones / name, error))) return {};
  return make_error(ErrorKind::kInvalid,
                    "'{}' is not a time zone that this host knows: write UTC or a name such as "
                    "Europe/Berlin ('timedatectl list-timezones' and {} have them)",
                    name, zones.string());
}

Result<void> use_time_zone(const std::string& name) {
  static std::optional<std::string> used;
  if (used && *used != name) {
    return make_error(ErrorKind::kInvalid, "timezone: another one needs a restart");
  }
  if (!used && !name.empty()) ::setenv("TZ", (":" + name).c_str(), 1);
  ::tzset();
  used = name;
  return {};
}

std::string format_local(Timestamp time) {
  return format_fields("%Y-%m-%d %H:%M:%S %Z", time);
}

std::string format_local_date(Timestamp time) {
  return format_fields("%Y-%m-%d", time);
}

Timestamp local_time_on(Timestamp time, int days_later, std::chrono::minutes time_of_day) {
  const std::tm fields = local_fields(time);
  const auto minutes = static_cast<int>(time_of_day.count());
  return in_local_zone(
      {fields.tm_year + 1900, fields.tm_mon + 1, fields.tm_mday, minutes / 60, minutes % 60},
      days_later);
}

unsigned local_weekday(Timestamp time) {
  return static_cast<unsigned>(local_fields(time).tm_wday);
}

Result<Timestamp> parse_point(std::string_view text, Timestamp now) {
  if (text == "now") return now;
  if (const auto day = read_day(text, now)) return in_local_zone(*day);
  if (const auto reading = read_calendar(text)) return in_local_zone(*reading);
  if (const auto age = parse_duration(text)) return now - *age;
  if (const auto time = parse_timestamp(text)) return *time;
  return make_error(ErrorKind::kInvalid,
                    "'{}' is not a time: write 2h (ago), today, 2026-11-22, '2026-11-22 13:40' or "
                    "2026-11-22T13:40:00Z",
                    text);
}

Result<TimeRange> parse_local_day(std::string_view text, Timestamp now) {
  const auto day = read_day(text, now);
  if (!day) {
    return make_error(ErrorKind::kInvalid,
                      "'{}' is not a day: write 2026-11-22, today or yesterday", text);
  }
  return TimeRange{.since = in_local_zone(*day), .until = in_local_zone(*day, 1)};
}

}  // namespace ferry::app
