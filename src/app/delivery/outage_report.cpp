#include "app/delivery/outage_report.h"

#include "app/config/state_directory.h"
#include "ferry/base/log.h"
#include "ferry/base/outages.h"

namespace ferry::app {
namespace {

Outages outages(const Settings& settings) {
  return Outages(state_directory(settings).outages());
}

bool is_of_destination(ErrorKind kind) {
  return kind == ErrorKind::kUnreachable || kind == ErrorKind::kConnectionLost ||
         kind == ErrorKind::kRefused || kind == ErrorKind::kProtocol || kind == ErrorKind::kDenied;
}

}  // namespace

void note_outage(const std::string& destination, const Error& error, const Settings& settings,
                 std::optional<std::chrono::seconds> wait) {
  if (!is_of_destination(error.kind)) return;
  const Timestamp time = now();
  const auto next_try = wait ? std::optional(time + *wait) : std::nullopt;
  const auto noted = outages(settings).note(destination, error, time, next_try);
  if (!noted) log::debug("outage not noted", {{"error", noted.error().message}});
}

void clear_outage(const std::string& destination, const Settings& settings) {
  outages(settings).clear(destination);
}

void note_outage(const TransferEnding& ending, const Settings& settings) {
  if (const auto& error = ending.error ? ending.error : ending.summary.lost) {
    note_outage(ending.destination, *error, settings, std::nullopt);
  } else if (ending.summary.successful + ending.summary.skipped > 0) {
    clear_outage(ending.destination, settings);
  }
}

}  // namespace ferry::app
