// What `ferry serve` can do besides, in the same process. Each goes on until a stop.
#pragma once

#include "app/commands/command.h"

namespace ferry::app {

Outcome<ExitStatus> run_watch(const Invocation& invocation);      // watch.cpp
Outcome<ExitStatus> run_following(const Invocation& invocation);  // transfer.cpp

}  // namespace ferry::app
