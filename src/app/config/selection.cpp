#include "app/config/selection.h"

#include <charconv>

#include "app/config/local_time.h"
#include "ferry/base/log.h"

namespace ferry::app {

namespace {

/// A day is a zone's: whose was meant has to be seen.
TimeRange told(const TimeRange& range) {
  const auto text = [](const std::optional<Timestamp>& time) {
    return time ? format_local(*time) : std::string("-");
  };
  log::info("time span", {{"since", text(range.since)}, {"until", text(range.until)}});
  return range;
}

}  // namespace

Result<TimeRange> registration_dates(const Arguments& arguments) {
  const auto date = arguments.last("date");
  const auto since = arguments.last("since");
  const auto until = arguments.last("until");
  if (date && (since || until)) {
    return make_error(ErrorKind::kInvalid, "give either --date or --since and --until");
  }
  if (date) {
    const auto day = parse_local_day(*date, now());
    if (!day) return day.error().with_context("--date");
    return told(*day);
  }
  TimeRange range;
  if (since) {
    const auto time = parse_point(*since, now());
    if (!time) return time.error().with_context("--since");
    range.since = *time;
  }
  if (until) {
    const auto time = parse_point(*until, now());
    if (!time) return time.error().with_context("--until");
    range.until = *time;
  }
  return since || until ? told(range) : range;
}

Result<ExitStatus> idle_status(const Arguments& arguments) {
  const auto text = arguments.last(kIdleExitCode);
  if (!text) return ExitStatus::kDone;
  int code = 0;
  const char* end = text->data() + text->size();
  const auto [rest, error] = std::from_chars(text->data(), end, code);
  if (error != std::errc{} || rest != end || code < 0 || code > 255) {
    return make_error(ErrorKind::kInvalid, "--idle-exit-code: '{}' is not a number from 0 to 255",
                      *text);
  }
  return static_cast<ExitStatus>(code);
}

}  // namespace ferry::app
