// Carrying everything from one metastore into another.
#pragma once

#include <cstdint>
#include <string>

#include "ferry/base/result.h"
#include "ferry/metastore/metastore.h"

namespace ferry::app {

struct StoreCopy {
  std::uint64_t files = 0;      // rows of file_registry that both have
  std::uint64_t transfers = 0;  // and of transfer_logs
  std::uint64_t copied = 0;     // of both, by this run
  std::string digest;           // of all of them, which is the same on both sides
};

/// Appends to TO, row by row, what it has not got of FROM yet, and then compares all of both. Goes
/// on where an earlier run was cut short. kInvalid: TO has other rows; kBusy: FROM has changed
/// meanwhile; kCorrupt: they differ all the same.
Result<StoreCopy> copy_store(metastore::Metastore& from, metastore::Metastore& to);

}  // namespace ferry::app
