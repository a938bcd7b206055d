// What commands that watch have in common.
#pragma once

#include <string>

#include "app/config/settings.h"
#include "ferry/base/json.h"
#include "ferry/landing/watch.h"

namespace ferry::app {

/// ONCE: registers what is there, then ends.
Result<landing::WatchOptions> watch_options(const Settings& settings, bool once);

Json to_json(const landing::WatchSummary& summary);
/// What was passed over, by which rule, as a line; empty: nothing was.
std::string to_text(const landing::IgnoredCounts& ignored);

}  // namespace ferry::app
