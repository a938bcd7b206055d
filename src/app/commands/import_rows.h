// Registry rows from elsewhere.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ferry/base/stop.h"
#include "ferry/metastore/records.h"

namespace ferry::app {

/// Reads rows of file_registry, one JSON object a line; blank lines are skipped. One bad line makes
/// all of it kInvalid, with "SOURCE:LINE: WHY" for each of the first ones. Memory follows the rows
/// that are good.
class RowParser {
 public:
  explicit RowParser(std::string source) : source_(std::move(source)) {}

  /// Takes TEXT behind what came before; false if no more is needed to refuse all.
  bool take(std::string_view text);
  Result<std::vector<metastore::FileRecord>> finish();

 private:
  void take_line(std::string_view line);
  void complain(std::string_view why);

  const std::string source_;
  std::string begun_;  // of a line
  std::uint64_t line_ = 0;
  std::vector<metastore::FileRecord> rows_;
  std::string problems_;
  std::size_t problem_count_ = 0;
  bool is_hopeless_ = false;
};

/// Of the file NAME, or of standard input for "-". kCancelled if STOP comes while a pipe waits.
Result<std::vector<metastore::FileRecord>> read_rows(const std::string& name,
                                                     const StopToken& stop);

}  // namespace ferry::app
