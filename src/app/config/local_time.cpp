#include "app/config/local_time.h"

#include <absl/time/civil_time.h>
#include <absl/time/time.h>

#include <array>
#include <charconv>
#include <cstdlib>
#include <ctime>

#include "ferry/base/units.h"

namespace ferry::app {
namespace {

constexpr std::chrono::minutes kMidnight{0};

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

Timestamp in_local_zone(const Reading& reading) {
  std::tm fields{};
  fields.tm_year = reading.year - 1900;
  fields.tm_mon = reading.month - 1;
  fields.tm_mday = reading.day;
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

Date to_date(int year, int month, int day) {
  return Date(std::chrono::year(year) / month / day);
}

/// Of tzdata(5), or an error that names it.
Result<absl::TimeZone> find_zone(const std::string& name) {
  const bool is_plain =
      !name.empty() && name.front() != '/' && name.find("..") == name.npos &&
      name.find_first_not_of(
          "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-_/") == name.npos;
  absl::TimeZone zone;
  if (is_plain && absl::LoadTimeZone(name, &zone)) return zone;
  return make_error(
      ErrorKind::kInvalid,
      "'{}' is not a time zone that this host knows: write UTC or a name such as "
      "Europe/Berlin ('timedatectl list-timezones' and /usr/share/zoneinfo have them)",
      name);
}

}  // namespace

Result<void> check_time_zone(const std::string& name) {
  const auto zone = find_zone(name);
  if (!zone) return zone.error();
  return {};
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

struct Clocks::Zone {
  absl::TimeZone zone;
};

Result<Clocks> Clocks::in_zone(const std::string& name) {
  Clocks clocks;
  if (name.empty()) return clocks;
  const auto zone = find_zone(name);
  if (!zone) return zone.error();
  clocks.zone_ = std::make_shared<const Zone>(*zone);
  return clocks;
}

std::string Clocks::format(Timestamp time) const {
  constexpr const char* kFormat = "%Y-%m-%d %H:%M:%S %Z";
  if (zone_) return absl::FormatTime(kFormat, absl::FromChrono(time), zone_->zone);
  const std::tm fields = local_fields(time);
  std::array<char, 64> buffer;
  return {buffer.data(), std::strftime(buffer.data(), buffer.size(), kFormat, &fields)};
}

Date Clocks::date(Timestamp time) const {
  if (!zone_) {
    const std::tm fields = local_fields(time);
    return to_date(fields.tm_year + 1900, fields.tm_mon + 1, fields.tm_mday);
  }
  const auto shown = zone_->zone.At(absl::FromChrono(time)).cs;
  return to_date(static_cast<int>(shown.year()), shown.month(), shown.day());
}

Timestamp Clocks::time_on(Date date, std::chrono::minutes time_of_day) const {
  const std::chrono::year_month_day day(date);
  const Reading reading{
      static_cast<int>(day.year()), static_cast<int>(static_cast<unsigned>(day.month())),
      static_cast<int>(static_cast<unsigned>(day.day())),
      static_cast<int>(time_of_day.count() / 60), static_cast<int>(time_of_day.count() % 60)};
  if (!zone_) return in_local_zone(reading);
  const absl::CivilSecond civil(reading.year, reading.month, reading.day, reading.hour,
                                reading.minute);
  return std::chrono::floor<std::chrono::milliseconds>(
      absl::ToChronoTime(zone_->zone.At(civil).pre));
}

std::string format_date(Date date) {
  const std::chrono::year_month_day day(date);
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(day.year()),
                     static_cast<unsigned>(day.month()), static_cast<unsigned>(day.day()));
}

std::string format_local(Timestamp time) {
  return Clocks().format(time);
}

Result<NamedDay> parse_day(std::string_view text) {
  if (text == "today") return NamedDay{};
  if (text == "yesterday") return NamedDay{.before_today = std::chrono::days(1)};
  if (const auto reading = text.size() == 10 ? read_calendar(text) : std::nullopt) {
    return NamedDay{.date = to_date(reading->year, reading->month, reading->day)};
  }
  return make_error(ErrorKind::kInvalid, "'{}' is not a day: write 2026-11-22, today or yesterday",
                    text);
}

Result<Timestamp> parse_point(std::string_view text, Timestamp now) {
  if (text == "now") return now;
  if (const auto day = parse_local_day(text, now)) return *day->since;
  if (const auto reading = read_calendar(text)) return in_local_zone(*reading);
  if (const auto age = parse_duration(text)) return now - *age;
  if (const auto time = parse_timestamp(text)) return *time;
  return make_error(ErrorKind::kInvalid,
                    "'{}' is not a time: write 2h (ago), today, 2026-11-22, '2026-11-22 13:40' or "
                    "2026-11-22T13:40:00Z",
                    text);
}

Result<TimeRange> parse_local_day(std::string_view text, Timestamp now) {
  const auto day = parse_day(text);
  if (!day) return day.error();
  const Clocks clocks;
  const Date date = day->on(clocks.date(now));
  return TimeRange{.since = clocks.time_on(date, kMidnight),
                   .until = clocks.time_on(date + std::chrono::days(1), kMidnight)};
}

}  // namespace ferry::app
