// Showing what a metastore has, again and again as it changes.
#pragma once

#include <functional>

#include "ferry/base/stop.h"
#include "ferry/metastore/metastore.h"

namespace ferry::app {

/// Calls SHOW at once and after every change, until STOP or an error of SHOW's. What it prints is
/// flushed.
Result<void> show_changes(metastore::Metastore& metastore, const StopToken& stop,
                          const std::function<Result<void>()>& show);

}  // namespace ferry::app
