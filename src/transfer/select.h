// Which files a run takes.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "ferry/metastore/metastore.h"
#include "ferry/transfer/agent.h"

namespace ferry::transfer {

/// Pure: one file against a selection, at TIME.
bool is_selected(const metastore::FileRecord& file, const metastore::Delivery* delivery,
                 const TransferOptions& options, Timestamp time);

/// What select would return, as far as a run needs it before it has claimed the files.
struct SelectedFiles {
  std::vector<std::string> ids;
  std::uint64_t bytes = 0;  // as far as the registry knows
  /// Of earlier runs that took some of them, and did not deliver them.
  std::set<std::string, std::less<>> batch_ids;
};
Result<SelectedFiles> select_ids(metastore::Metastore& metastore, std::string_view destination,
                                 const TransferOptions& options);

}  // namespace ferry::transfer
