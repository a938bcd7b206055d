#include "ferry/base/time.h"

#include <fmt/compile.h>

#include <charconv>

namespace ferry {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

/// Takes fixed-width fields off the front of a text; the first misfit makes it fail for good.
class Scanner {
 public:
  explicit Scanner(std::string_view rest) : rest_(rest) {}

  int digits(std::size_t count) {
    int value = 0;
    if (rest_.size() < count) return fail();
    const char* begin = rest_.data();
    const auto parsed = std::from_chars(begin, begin + count, value);
    if (parsed.ec != std::errc{} || parsed.ptr != begin + count || rest_[0] == '-') {
      return fail();
    }
    rest_.remove_prefix(count);
    return value;
  }

  bool accept(std::string_view any_of) {
    if (rest_.empty() || any_of.find(rest_[0]) == std::string_view::npos) return false;
    last_ = rest_[0];
    rest_.remove_prefix(1);
    return true;
  }

  void expect(std::string_view any_of) {
    if (!accept(any_of)) fail();
  }

  milliseconds fraction() {
    int value = 0;
    int scale = 100;
    bool any = false;
    while (accept("0123456789")) {
      value += (last_ - '0') * scale;
      scale /= 10;
      any = true;
    }
    if (!any) fail();
    return milliseconds(value);
  }

  char last() const { return last_; }
  bool at_end() const { return rest_.empty(); }
  bool good() const { return good_; }

 private:
  int fail() {
    good_ = false;
    return 0;
  }

  std::string_view rest_;
  char last_ = 0;
  bool good_ = true;
};

Error bad_time(std::string_view text) {
  return make_error(ErrorKind::kInvalid,
                    "'{}' is not a time: write 2026-11-22 or 2026-11-22T13:40:00Z", text);
}

std::optional<std::chrono::sys_days> scan_date(Scanner& scanner) {
  const int year = scanner.digits(4);
  scanner.expect("-");
  const int month = scanner.digits(2);
  scanner.expect("-");
  const int day = scanner.digits(2);
  const std::chrono::year_month_day date{std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!scanner.good() || !date.ok()) return std::nullopt;
  return std::chrono::sys_days(date);
}

}  // namespace

Timestamp now() {
  return std::chrono::floor<milliseconds>(std::chrono::system_clock::now());
}

std::string format_timestamp(Timestamp time) {
  const auto day = std::chrono::floor<days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  return fmt::format(FMT_COMPILE("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z"),
                     static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                     static_cast<unsigned>(date.day()), clock.hours().count(),
                     clock.minutes().count(), clock.seconds().count(), clock.subseconds().count());
}

Result<Timestamp> parse_timestamp(std::string_view text) {
  Scanner scanner(text);
  const auto day = scan_date(scanner);
  if (!day) return bad_time(text);
  if (scanner.at_end()) return Timestamp(*day);

  scanner.expect("Tt ");
  const int hour = scanner.digits(2);
  scanner.expect(":");
  const int minute = scanner.digits(2);
  scanner.expect(":");
  const int second = scanner.digits(2);
  milliseconds fraction{0};
  if (scanner.accept(".")) fraction = scanner.fraction();
  minutes offset{0};
  scanner.expect("Zz+-");
  if (scanner.last() == '+' || scanner.last() == '-') {
    const int sign = scanner.last() == '-' ? -1 : 1;
    const int offset_hours = scanner.digits(2);
    scanner.expect(":");
    const int offset_minutes = scanner.digits(2);
    if (offset_hours > 23 || offset_minutes > 59) return bad_time(text);
    offset = sign * (hours(offset_hours) + minutes(offset_minutes));
  }
  // 60 is a leap second.
  if (!scanner.good() || !scanner.at_end() || hour > 23 || minute > 59 || second > 60) {
    return bad_time(text);
  }
  return Timestamp(*day) + hours(hour) + minutes(minute) + seconds(second) + fraction - offset;
}

Result<TimeRange> parse_day(std::string_view text, Timestamp now) {
  std::optional<std::chrono::sys_days> day;
  if (text == "today" || text == "yesterday") {
    day = std::chrono::floor<days>(now) - days(text == "today" ? 0 : 1);
  } else {
    Scanner scanner(text);
    day = scan_date(scanner);
    if (!scanner.at_end()) day.reset();
  }
  if (!day) {
    return make_error(ErrorKind::kInvalid,
                      "'{}' is not a day: write 2026-11-22, today or yesterday", text);
  }
  return TimeRange{.since = Timestamp(*day), .until = Timestamp(*day + days(1))};
}

}  // namespace ferry
