#include "app/delivery/outage_report.h"

#include "app/config/state_directory.h"
#include "ferry/base/log.h"
#include "ferry/base/outages.h"

namespace ferry::app {
namespace {

Outages outages(const Settings& settings) {
  return Outages(state_directory(settings).outages());
}

bool is_of_destination(const Failure& failure) {
  const ErrorKind kind = failure.error.kind;
  if (failure.origin != Origin::kDestination) return false;
  return kind == ErrorKind::kUnreachable || kind == ErrorKind::kConnectionLost ||
         kind == ErrorKind::kRefused || kind == ErrorKind::kProtocol || kind == ErrorKind::kDenied;
}

}  // namespace

void note_outage(const std::string& destination, const Failure& failure, const Settings& settings,
                 std::optional<std::chrono::seconds> wait) {
  if (!is_of_destination(failure)) return;
  const Timestamp time = now();
  const auto next_try = wait ? std::optional(time + *wait) : std::nullopt;
  const auto noted = outages(settings).note(destination, failure.error, time, next_try);
  if (!noted) log::debug("outage not noted", {{"error", noted.error().message}});
}

void clear_outage(const std::string& destination, const Settings& settings) {
  outages(settings).clear(destination);
}

void note_outage(const TransferEnding& ending, const Settings& settings) {
  if (ending.failure) {
    note_outage(ending.destination, *ending.failure, settings, std::nullopt);
  } else if (const auto& lost = ending.summary.lost) {
    note_outage(ending.destination, {Origin::kDestination, *lost}, settings, std::nullopt);
  } else if (ending.summary.successful + ending.summary.skipped > 0) {
    clear_outage(ending.destination, settings);
  }
}

}  // namespace ferry::app
