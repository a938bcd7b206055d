// Which files a run takes.
#pragma once

#include <span>
#include <string_view>

#include "ferry/metastore/metastore.h"
#include "ferry/transfer/agent.h"

namespace ferry::transfer {

/// Pure: one file against a selection.
bool is_selected(const metastore::FileRecord& file, const metastore::Delivery* delivery,
                 const TransferOptions& options);

}  // namespace ferry::transfer
