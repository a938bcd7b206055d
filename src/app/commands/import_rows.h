// Registry rows from elsewhere.
#pragma once

#include <string_view>
#include <vector>

#include "ferry/metastore/records.h"

namespace ferry::app {

/// Reads rows of file_registry, one JSON object a line; blank lines are skipped. One bad line makes
/// all of it kInvalid, with "SOURCE:LINE: WHY" for each.
Result<std::vector<metastore::FileRecord>> parse_rows(std::string_view text,
                                                      std::string_view source);

}  // namespace ferry::app
