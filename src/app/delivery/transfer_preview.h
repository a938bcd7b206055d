// What `ferry transfer --dry-run` prints.
#pragma once

#include "app/delivery/transfer_plan.h"
#include "app/exit_status.h"
#include "ferry/metastore/metastore.h"

namespace ferry::app {

/// Ends with IDLE if nothing would be delivered.
Outcome<ExitStatus> preview_transfer(const TransferPlan& plan, metastore::Metastore& store,
                                     bool as_json, ExitStatus idle);

}  // namespace ferry::app
