// `ferry transfer --follow`: a process that goes on, reloads, and tells systemd how it is.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "app/commands/command.h"
#include "app/delivery/transfer_plan.h"
#include "ferry/metastore/metastore.h"

namespace ferry::app {

/// Makes a plan anew, after SIGHUP.
using Replan = std::function<Outcome<TransferPlan>()>;

/// EXIT_WHEN_IDLE 0: only a stop ends it. Without REPLAN SIGHUP is left as it is.
Outcome<ExitStatus> deliver_until_stopped(const Invocation& invocation, TransferPlan plan,
                                          std::unique_ptr<metastore::Metastore> store,
                                          std::chrono::milliseconds exit_when_idle, Replan replan);

}  // namespace ferry::app
