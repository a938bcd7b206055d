// Durations and sizes as people write them in options and configuration files.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "ferry/base/result.h"

namespace ferry {

/// "500ms", "2s", "5m", "1.5h", "1h30m", "1d 12h".
Result<std::chrono::milliseconds> parse_duration(std::string_view text);
/// The shortest form that parse_duration reads back to the same.
std::string format_duration(std::chrono::milliseconds duration);

/// Bytes: "4096", "64KiB", "1.5M", "2 GB"; K, M, G and T are powers of 1024 with or without "iB",
/// KB, MB, GB and TB of 1000.
Result<std::uint64_t> parse_size(std::string_view text);
/// The shortest form that parse_size reads back to the same.
std::string format_size(std::uint64_t bytes);

/// For reading, rounded: "1.5 MiB".
std::string human_size(double bytes);
/// For reading, rounded: "2h 5m", "3m 20s", "0.8s".
std::string human_duration(std::chrono::milliseconds duration);

}  // namespace ferry
