// metastore.json: which format a directory has, and whether it is a metastore at all.
#pragma once

#include "ferry/base/result.h"
#include "metastore/layout.h"

namespace ferry::metastore {

inline constexpr int kFormatVersion = 1;

enum class Format : std::uint8_t {
  kOurs,   // metastore.json is there and we understand it
  kBare,   // tables without metastore.json, as somebody wrote them by hand
  kEmpty,  // nothing there, or only what an interrupted first opening left
};

/// kNotFound where there is no directory; kCorrupt where its format is newer or unreadable, or
/// where it holds other things than a metastore.
Result<Format> read_format(const Layout& layout);

Result<void> write_format(const Layout& layout);

}  // namespace ferry::metastore
