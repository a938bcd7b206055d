// metastore.json: which format a directory has, and whether it is a metastore at all.
#pragma once

#include "ferry/base/result.h"
#include "metastore/jsonl/tables/directory.h"

namespace ferry::metastore {

inline constexpr int kFormatVersion = 1;

enum class Format : std::uint8_t {
  kOurs,   // metastore.json is there and we understand it
  kBare,   // tables without metastore.json, as somebody wrote them by hand
  kEmpty,  // nothing there, or only what an interrupted first opening left
};

/// kCorrupt if its format is newer or unreadable, or if it holds other things than a metastore.
Result<Format> read_format(const Directory& directory);

Result<void> write_format(const Directory& directory);

}  // namespace ferry::metastore
