// Batches that agents of this host have made, as StateDirectory::batches() tells: of each its
// control file, always as JSON, and until it is brought to its end its journal.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ferry/base/file.h"
#include "ferry/base/json.h"
#include "ferry/base/result.h"

namespace ferry {

inline constexpr std::string_view kControlFileSuffix = ".control.json";
inline constexpr std::string_view kBatchJournalSuffix = ".journal";

class KeptBatches {
 public:
  explicit KeptBatches(fs::path directory) : directory_(std::move(directory)) {}

  /// Their ids, in no order. Without the directory there are none.
  Result<std::vector<std::string>> ids() const;

  /// ID has to be one of them, or at least a UUID.
  fs::path control_file(std::string_view id) const;
  /// True once it is pushed and recorded.
  bool is_complete(std::string_view id) const;
  /// What the control file says of the batch as a whole; an empty object if it does not say it in
  /// its first line. kNotFound once its time has come.
  Result<Json> head(std::string_view id) const;

 private:
  fs::path directory_;
};

}  // namespace ferry
