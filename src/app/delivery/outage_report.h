// What agents tell of destinations that they cannot reach, for whoever looks later.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "app/config/settings.h"
#include "app/delivery/transfer_ending.h"
#include "ferry/base/result.h"

namespace ferry::app {

/// The destination did not answer, or would not have us; WAIT: until it is tried again. Other
/// errors say nothing of it. What cannot be noted is left out: nobody waits for it.
void note_outage(const std::string& destination, const Failure& failure, const Settings& settings,
                 std::optional<std::chrono::seconds> wait);
/// It has taken files.
void clear_outage(const std::string& destination, const Settings& settings);

/// Whichever of both a single run's ENDING tells, if any.
void note_outage(const TransferEnding& ending, const Settings& settings);

}  // namespace ferry::app
