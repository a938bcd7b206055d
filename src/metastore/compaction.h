// Taking out of the tables what nobody needs any more, into archive/.
//
//   archive/2026-11/file_registry.<uuid>.jsonl, transfer_logs.<uuid>.jsonl
//
// Rows go to the month of their own date, in the order in which they were written.
#pragma once

#include <functional>

#include "ferry/base/result.h"
#include "ferry/base/time.h"
#include "metastore/layout.h"
#include "metastore/view.h"

namespace ferry::metastore {

/// Pure: true where nobody will ask for the file again: it is no path's current version in a
/// landing area, nobody will deliver it, and nothing happened to it at or after SINCE.
bool is_settled(const View& view, View::Index index, Timestamp since);

/// How many rows a compaction would leave.
struct Weight {
  std::uint64_t live = 0;  // rows of both tables
  std::uint64_t settled = 0;
};
Weight weigh(const View& view, Timestamp since);

/// Rewrites both tables; the caller holds the lock, VIEW is what they say now. Rows that cannot be
/// read stay where they are among the others. On an error, and after a crash, the tables are as
/// they were, or finish_staged_files makes them what they were to become.
Result<Metastore::Compaction> compact_tables(const Layout& layout, const View& view,
                                             Timestamp since);

/// Calls VISITOR with the lines of one table in the archive, oldest month first.
Result<void> visit_archive(const Layout& layout, std::string_view table,
                           const std::function<void(std::string_view line)>& visitor);

}  // namespace ferry::metastore
