// Which files a run takes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ferry/metastore/metastore.h"
#include "ferry/transfer/agent.h"

namespace ferry::transfer {

/// Pure: one file against a selection, at TIME.
bool is_selected(const metastore::FileRecord& file, const metastore::Delivery* delivery,
                 const TransferOptions& options, Timestamp time);

/// The ids of what select would return: a run needs no more of a file before it has claimed it.
Result<std::vector<std::string>> select_ids(metastore::Metastore& metastore,
                                            std::string_view destination,
                                            const TransferOptions& options);

}  // namespace ferry::transfer
