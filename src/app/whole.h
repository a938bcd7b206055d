// What `ferry serve` can do besides, in the same process. Each goes on until a stop.
#pragma once

#include "app/command.h"

namespace ferry::app {

Outcome<ExitStatus> run_watch(const Invocation& invocation);      // cmd_watch.cpp
Outcome<ExitStatus> run_following(const Invocation& invocation);  // cmd_transfer.cpp

}  // namespace ferry::app
