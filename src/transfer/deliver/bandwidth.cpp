#include "ferry/transfer/bandwidth.h"

#include <algorithm>
#include <charconv>
#include <ctime>
#include <optional>

#include "ferry/base/units.h"

namespace ferry::transfer {
namespace {

using std::chrono::minutes;

constexpr minutes kDay{24 * 60};
constexpr std::string_view kUnits = "KMG";

Error bad_limit(std::string_view text) {
  return make_error(ErrorKind::kInvalid,
                    "'{}' is not a bandwidth limit: write 10M (bytes a second), "
                    "08:00-18:00=10M for some hours, or off",
                    text);
}

std::optional<std::uint64_t> parse_number(std::string_view& text) {
  std::uint64_t value = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(rest - text.data()));
  return value;
}

std::optional<std::uint64_t> parse_rate(std::string_view text) {
  if (text == "off") return 0;
  const auto rate = parse_size(text);
  return rate && *rate > 0 ? std::optional(*rate) : std::nullopt;
}

/// "08:00"
std::optional<minutes> parse_time_of_day(std::string_view& text) {
  const auto hour = parse_number(text);
  if (!hour || *hour > 24 || !text.starts_with(':')) return std::nullopt;
  text.remove_prefix(1);
  const auto minute = parse_number(text);
  if (!minute || *minute > 59) return std::nullopt;
  const minutes time(*hour * 60 + *minute);
  if (time > kDay) return std::nullopt;
  return time;
}

std::string rate_text(std::uint64_t rate) {
  if (rate == 0) return "off";
  for (std::size_t unit = kUnits.size(); unit > 0; --unit) {
    const std::uint64_t size = std::uint64_t{1} << (10 * unit);
    if (rate % size == 0) return fmt::format("{}{}", rate / size, kUnits[unit - 1]);
  }
  return fmt::to_string(rate);
}

std::string time_text(minutes time) {
  return fmt::format("{:02}:{:02}", time.count() / 60, time.count() % 60);
}

minutes local_time_of_day() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  ::localtime_r(&now, &local);
  return minutes(local.tm_hour * 60 + local.tm_min);
}

}  // namespace

Result<BandwidthLimit> BandwidthLimit::parse(std::string_view text) {
  BandwidthLimit limit;
  std::string_view rest = text;
  while (!rest.empty()) {
    std::string_view entry = rest.substr(0, rest.find(' '));
    rest.remove_prefix(std::min(rest.size(), entry.size() + 1));
    if (entry.empty()) continue;
    Span span;
    if (const auto equals = entry.find('='); equals != std::string_view::npos) {
      std::string_view hours = entry.substr(0, equals);
      const auto begin = parse_time_of_day(hours);
      if (!begin || !hours.starts_with('-')) return bad_limit(text);
      hours.remove_prefix(1);
      const auto end = parse_time_of_day(hours);
      if (!end || !hours.empty() || *begin == *end) return bad_limit(text);
      span.begin = *begin % kDay;
      span.end = *end % kDay;
      entry.remove_prefix(equals + 1);
    }
    const auto rate = parse_rate(entry);
    if (!rate) return bad_limit(text);
    span.bytes_per_second = *rate;
    limit.spans_.push_back(span);
  }
  if (std::ranges::all_of(limit.spans_,
                          [](const Span& span) { return span.bytes_per_second == 0; })) {
    limit.spans_.clear();
  }
  return limit;
}

std::string BandwidthLimit::to_string() const {
  if (spans_.empty()) return "off";
  std::string text;
  for (const Span& span : spans_) {
    if (!text.empty()) text += ' ';
    if (span.begin != span.end) {
      text += fmt::format("{}-{}=", time_text(span.begin), time_text(span.end));
    }
    text += rate_text(span.bytes_per_second);
  }
  return text;
}

std::uint64_t BandwidthLimit::at(minutes time_of_day) const {
  for (const Span& span : spans_) {
    const bool whole_day = span.begin == span.end;
    const bool over_midnight = span.end < span.begin;
    const bool after_begin = time_of_day >= span.begin;
    const bool before_end = time_of_day < span.end;
    if (whole_day || (over_midnight ? after_begin || before_end : after_begin && before_end)) {
      return span.bytes_per_second;
    }
  }
  return 0;
}

RateLimiter::Time RateLimiter::reserve(std::size_t bytes, Time now, minutes time_of_day) {
  constexpr std::chrono::milliseconds kBurst{250};
  const std::uint64_t rate = limit_.at(time_of_day);
  if (rate == 0) return now;
  const std::chrono::duration<double> cost(static_cast<double>(bytes) / static_cast<double>(rate));
  const std::scoped_lock lock(mutex_);
  const Time start = std::max(free_at_, now - kBurst);
  free_at_ = start + std::chrono::duration_cast<Time::duration>(cost);
  return std::max(start, now);
}

RateLimiter::Time RateLimiter::reserve(std::size_t bytes) {
  return reserve(bytes, std::chrono::steady_clock::now(), local_time_of_day());
}

}  // namespace ferry::transfer
