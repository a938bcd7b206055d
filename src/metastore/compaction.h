// Taking out of the tables what nobody needs any more, into archive/.
//
//   archive/2026-11/file_registry.<uuid>.jsonl, transfer_logs.<uuid>.jsonl
//
// Rows go to the month of their own date, in the order in which they were written.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "ferry/base/result.h"
#include "ferry/base/time.h"
#include "metastore/jsonl_table.h"
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

/// A row in a table's file, and whose it is.
struct SurveyedRow {
  using Key = std::uint32_t;  // View::Index, or View::DeliveryNumber
  static constexpr Key kNoKey = UINT32_MAX;

  std::uint64_t offset = 0;
  std::uint32_t size = 0;   // with its '\n'
  Key key = kNoKey;         // as it is: the row cannot be read
  std::uint32_t month = 0;  // months since the year 0
};

/// Where the rows of both tables are. Finding that out takes the most of a compaction's time and
/// needs no lock: only what was appended since is surveyed under it.
class Survey {
 public:
  explicit Survey(const Layout& layout);

  /// Adds the rows before these ends of the tables. VIEW has read as far as that, at least, and is
  /// the same for all calls.
  Result<void> extend(const View& view, std::uint64_t registry_end, std::uint64_t transfers_end);

  const std::vector<SurveyedRow>& files() const { return files_; }
  const std::vector<SurveyedRow>& deliveries() const { return deliveries_; }

 private:
  JsonlTable registry_;
  JsonlTable transfers_;
  std::vector<SurveyedRow> files_;
  std::vector<SurveyedRow> deliveries_;
};

/// Rewrites both tables; the caller holds the lock, VIEW is what they say now, SURVEY has all their
/// rows. Rows that cannot be read stay where they are among the others. On an error, and after a
/// crash, the tables are as they were, or finish_staged_files makes them what they were to become.
Result<Metastore::Compaction> compact_tables(const Layout& layout, const View& view,
                                             const Survey& survey, Timestamp since);

/// Calls VISITOR with the lines of one table in the archive, oldest month first.
Result<void> visit_archive(const Layout& layout, std::string_view table,
                           const std::function<void(std::string_view line)>& visitor);

}  // namespace ferry::metastore
