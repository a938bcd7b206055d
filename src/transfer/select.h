// Which files a run takes.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "ferry/metastore/metastore.h"
#include "ferry/transfer/agent.h"
#include "transfer/landing_roots.h"

namespace ferry::transfer {

/// Pure: one file against a selection, at TIME.
bool is_selected(const metastore::FileRecord& file, const metastore::Delivery* delivery,
                 const TransferOptions& options, Timestamp time);

/// What select would return, as far as a run needs it before it has claimed the files.
struct SelectedFiles {
  struct One {
    std::string id;
    const std::string* landing;  // one of LANDINGS
  };
  std::vector<One> files;
  std::uint64_t bytes = 0;  // as far as the registry knows
  /// Of earlier runs that took some of them, and did not deliver them.
  std::set<std::string, std::less<>> batch_ids;
  std::set<std::string> landings;  // the areas that they are in
  /// Those that were registered on another file system than their area is on: it may be that theirs
  /// is not mounted.
  std::vector<metastore::FileRecord> doubtful;
};
Result<SelectedFiles> select_ids(metastore::Metastore& metastore, std::string_view destination,
                                 const TransferOptions& options, const LandingRoots& roots);

}  // namespace ferry::transfer
