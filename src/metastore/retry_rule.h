// When a failed delivery may be tried again. Pure.
#pragma once

#include <string_view>

#include "ferry/base/result.h"
#include "ferry/metastore/metastore.h"

namespace ferry::metastore {

/// A delivery that failed: of a file whose registry row is from UPDATED, by an attempt that began
/// at CLAIMED.
inline bool may_be_retried(std::int64_t attempt, std::int64_t max_attempts,
                           std::string_view error_kind, Timestamp claimed, Timestamp updated) {
  if (max_attempts == kAskedFor) return true;
  // The same file would be found abnormal again.
  if (error_kind == to_string(ErrorKind::kAbnormal) && updated <= claimed) return false;
  return attempt < max_attempts;
}

}  // namespace ferry::metastore
