// `ferry transfer --follow`: a process that goes on, reloads, and tells systemd how it is.
#pragma once

#include <chrono>
#include <memory>

#include "app/command.h"
#include "app/transfer_plan.h"
#include "ferry/metastore/metastore.h"

namespace ferry::app {

/// EXIT_WHEN_IDLE 0: only a stop ends it.
Outcome<ExitStatus> deliver_until_stopped(const Invocation& invocation, TransferPlan plan,
                                          std::unique_ptr<metastore::Metastore> store,
                                          std::chrono::milliseconds exit_when_idle);

}  // namespace ferry::app
