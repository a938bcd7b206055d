// How many durations were at most so long.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>

namespace ferry {

struct Histogram {
  /// In seconds. Each count is of the durations up to its bound and above the one before; the last
  /// is of those above all bounds.
  static constexpr std::array<double, 8> kBounds{0.1, 1, 10, 60, 300, 1800, 7200, 86400};

  std::array<std::int64_t, kBounds.size() + 1> counts{};
  std::int64_t sum_ms = 0;

  /// TIMES may be negative: then they are taken out again.
  void add(std::chrono::milliseconds duration, std::int64_t times = 1) {
    std::size_t bucket = 0;
    const double seconds = static_cast<double>(duration.count()) / 1000;
    while (bucket < kBounds.size() && seconds > kBounds[bucket]) ++bucket;
    counts[bucket] += times;
    sum_ms += duration.count() * times;
  }

  void add(const Histogram& other) {
    for (std::size_t i = 0; i < counts.size(); ++i) counts[i] += other.counts[i];
    sum_ms += other.sum_ms;
  }

  bool operator==(const Histogram&) const = default;
};

}  // namespace ferry
