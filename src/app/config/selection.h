// The flags that commands which select registered files have in common.
#pragma once

#include "app/commands/command.h"
#include "ferry/base/result.h"
#include "ferry/base/time.h"

namespace ferry::app {

/// --date DAY, or --since TIME and --until TIME; unbounded if none is given.
Result<TimeRange> registration_dates(const Arguments& arguments);

constexpr std::string_view kIdleExitCode = "idle-exit-code";

/// --idle-exit-code N: what to end with if there was nothing to do.
Result<ExitStatus> idle_status(const Arguments& arguments);

}  // namespace ferry::app
