// How much data a line needs on the way to be kept busy.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>

namespace ferry::sftp {

/// What the fastest connection moves in one ROUND_TRIP, within bounds: more only waits at the
/// server, where it pushes out of the processors' caches what is being worked on. Never above
/// AT_MOST.
inline std::size_t useful_window(std::chrono::nanoseconds round_trip, std::size_t at_most) {
  constexpr std::size_t kLeast = 1 << 20;  // keeps a server busy whose disk hesitates
  constexpr double kBytesPerNanosecond = 400.0 * (1 << 20) / 1e9;
  const double needed = static_cast<double>(round_trip.count()) * kBytesPerNanosecond;
  if (needed >= static_cast<double>(at_most)) return at_most;
  return std::min(at_most, std::max(kLeast, static_cast<std::size_t>(needed)));
}

}  // namespace ferry::sftp
