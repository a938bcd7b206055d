// Formats of dates as of strftime(3), in the C locale and the process's
// time zone.
#pragma once

#include <string>
#include <string_view>

#include "ferry/base/result.h"
#include "ferry/base/time.h"

namespace ferry::transfer {

/// kInvalid names the conversion that strftime does not know, or that makes no part of a name.
Result<void> check_date_format(std::string_view format);

std::string format_date(const std::string& format, Timestamp date);

/// A pattern (Glob) that fits every date in this format.
std::string date_pattern(std::string_view format);

}  // namespace ferry::transfer
