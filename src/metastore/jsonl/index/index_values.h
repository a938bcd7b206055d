// How Index keeps values in columns, and gets them back.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "ferry/base/time.h"
#include "metastore/jsonl/index/database.h"

namespace ferry::metastore {

inline Timestamp time_from(std::int64_t ms) {
  return Timestamp(std::chrono::milliseconds(ms));
}
inline std::int64_t to_ms(Timestamp time) {
  return time.time_since_epoch().count();
}
inline std::int64_t to_signed(std::uint64_t value) {
  return static_cast<std::int64_t>(value);
}
inline std::uint64_t to_unsigned(std::int64_t value) {
  return static_cast<std::uint64_t>(value);
}

/// The first column of all rows.
inline std::vector<std::int64_t> numbers(Rows row) {
  std::vector<std::int64_t> found;
  while (row.next()) found.push_back(row.integer(0));
  return found;
}

}  // namespace ferry::metastore
