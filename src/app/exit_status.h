// What a command's end tells its caller. The numbers are part of ferry's interface.
#pragma once

#include <string_view>

#include "ferry/base/outcome.h"

namespace ferry::app {

enum class ExitStatus : int {
  kDone = 0,
  kSomeFailed = 1,
  kUsage = 2,
  kDestination = 3,
  kMetastore = 4,
  kInterrupted = 130,
};

std::string_view describe(ExitStatus status);

/// The one place where kinds of errors become exit codes.
ExitStatus exit_status_for(const Failure& failure);

/// The one to report if several parts of a command ended differently.
ExitStatus worse_of(ExitStatus one, ExitStatus other);

}  // namespace ferry::app
