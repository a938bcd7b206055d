#include <algorithm>

#include "app/commands/command.h"
#include "app/config/open_store.h"
#include "app/config/setup.h"
#include "app/output.h"
#include "app/report/expectations.h"
#include "ferry/base/text.h"

namespace ferry::app {
namespace {

void print_as_text(const std::vector<ExpectedDay>& days) {
  print(fmt::format("{:<20} {:<23} {:>6} {:>7} {:<9}  {}\n", "NAME", "BY", "LANDED", "ARRIVED",
                    "STATE", "SINCE"));
  for (const ExpectedDay& day : days) {
    const auto of = [&](std::int64_t files) {
      return fmt::format("{}/{}", files, day.expectation->count.value);
    };
    std::string line = fmt::format(
        "{:<20} {:<23} {:>6} {:>7} {:<9}  {}", escape_controls(day.expectation->name),
        day.clocks.format(day.deadline), of(day.landed), of(day.arrived), to_string(day.arrival),
        day.complete ? day.clocks.format(*day.complete) : std::string());
    line.erase(line.find_last_not_of(' ') + 1);
    print(line + "\n");
  }
}

Outcome<ExitStatus> run_expect(const Invocation& invocation) {
  const Arguments& arguments = invocation.arguments;
  const auto settings = effective_settings(arguments);
  if (!settings) return fail(settings.error());
  const auto date = parse_day(arguments.last("date").value_or("today"));
  if (!date) return fail(date.error().with_context("--date"));
  if (settings->expected.empty()) {
    return fail(
        make_error(ErrorKind::kInvalid,
                   "the configuration expects nothing: 'man ferry.toml' has [expect.NAME]"));
  }
  auto store = open_store(*settings, Access::kRead);
  if (!store) return std::unexpected(store.error());
  const auto days = expected_on(**store, *settings, *date, now());
  if (!days) return fail(days.error(), Origin::kMetastore);
  if (arguments.has("json")) {
    for (const ExpectedDay& day : *days) print_json(to_json(day));
  } else {
    print_as_text(*days);
  }
  const bool is_late = std::ranges::any_of(
      *days, [](const ExpectedDay& day) { return day.arrival == Arrival::kLate; });
  return is_late ? ExitStatus::kSomeFailed : ExitStatus::kDone;
}

}  // namespace

Command expect_command() {
  return {
      .name = "expect",
      .bit = kOtherBit,
      .summary = "show which files should come on a day, and whether they have",
      .positional = "",
      .description =
          "Shows each [expect.NAME] of the configuration that comes on that day: how many of its\n"
          "files have landed, how many are at every destination that wants them, and whether\n"
          "that was in time. What is registered from that day on, until the next such day,\n"
          "is held against it.",
      .flags = {{"date", "DAY", "2026-11-22, today (the default) or yesterday"},
                {"json", "", "print one JSON object a line"}},
      .exits = {{ExitStatus::kDone, "all has come, or has time yet"},
                {ExitStatus::kSomeFailed, "something is late, and not there"},
                {ExitStatus::kUsage},
                {ExitStatus::kMetastore}},
      .run = &run_expect};
}

}  // namespace ferry::app
