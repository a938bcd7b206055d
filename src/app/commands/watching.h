// What commands that watch have in common.
#pragma once

#include "app/config/settings.h"
#include "app/exit_status.h"
#include "ferry/base/json.h"
#include "ferry/landing/watch.h"

namespace ferry::app {

/// ONCE: registers what is there, then ends.
Result<landing::WatchOptions> watch_options(const Settings& settings, bool once);

Json to_json(const landing::WatchSummary& summary);

/// Whose trouble it is that ended a watcher.
Origin origin_of_watching(ErrorKind kind);

}  // namespace ferry::app
