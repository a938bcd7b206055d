// How much of the line a run may take, by the time of day.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "ferry/base/result.h"

namespace ferry::transfer {

/// "10M": at all times. "08:00-18:00=10M 18:00-23:00=50M": in these hours of local time, and
/// without a limit in the others; a span may reach over midnight. Sizes count bytes a second, with
/// K, M or G for powers of 1024. "off" is no limit.
class BandwidthLimit {
 public:
  static Result<BandwidthLimit> parse(std::string_view text);
  /// What parse reads; "off" if there is no limit at any time.
  std::string to_string() const;

  /// Bytes a second at a time of day; 0: no limit.
  std::uint64_t at(std::chrono::minutes time_of_day) const;
  bool is_off() const { return spans_.empty(); }

 private:
  struct Span {
    std::chrono::minutes begin{};
    std::chrono::minutes end{};  // the same as begin: the whole day
    std::uint64_t bytes_per_second = 0;
  };
  std::vector<Span> spans_;
};

/// Shares a limit among all connections of a run: a bucket that fills at the limit's rate and holds
/// a quarter of a second. Thread-safe.
class RateLimiter {
 public:
  using Time = std::chrono::steady_clock::time_point;

  explicit RateLimiter(BandwidthLimit limit) : limit_(std::move(limit)) {}

  /// When these bytes may go: NOW or later.
  Time reserve(std::size_t bytes, Time now, std::chrono::minutes time_of_day);
  /// The same as of now.
  Time reserve(std::size_t bytes);

 private:
  const BandwidthLimit limit_;
  std::mutex mutex_;
  Time free_at_{};
};

}  // namespace ferry::transfer
