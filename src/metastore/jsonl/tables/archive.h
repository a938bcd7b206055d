// What compactions took out of the tables.
//
//   archive/2026-11/file_registry.<uuid>.jsonl, transfer_logs.<uuid>.jsonl
//
// Rows are in the month of their own date, in the order in which they were written.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "ferry/base/result.h"
#include "ferry/base/time.h"
#include "metastore/jsonl/tables/directory.h"

namespace ferry::metastore {

/// Months since the year 0.
std::uint32_t month_of(Timestamp time);

/// A new name for a part with rows of TABLE from that month.
std::string new_archive_part(std::string_view table, std::uint32_t month);

/// Calls VISITOR with the lines of one table that have one of NEEDLES in them, or escapes that may
/// hide it, oldest month first.
Result<void> search_archive(const Directory& directory, std::string_view table,
                            std::span<const std::string> needles,
                            const std::function<void(std::string_view line)>& visitor);

}  // namespace ferry::metastore
