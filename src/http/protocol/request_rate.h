// How many requests a second a token may make: a bucket for each that holds those of one second.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

namespace ferry::http {

/// Thread-safe; time comes from the caller.
class RequestRate {
 public:
  using Clock = std::chrono::steady_clock;
  explicit RequestRate(std::uint64_t limit) : limit_(static_cast<double>(limit)) {}

  /// False: NAME has to wait.
  bool take(const std::string& name, Clock::time_point now) {
    const std::lock_guard lock(mutex_);
    Bucket& bucket = buckets_.try_emplace(name, Bucket{limit_, now}).first->second;
    const std::chrono::duration<double> passed = now - bucket.filled;
    bucket.filled = now;
    bucket.left = std::min(limit_, bucket.left + limit_ * std::max(passed.count(), 0.0));
    if (bucket.left < 1) return false;
    bucket.left -= 1;
    return true;
  }

 private:
  struct Bucket {
    double left;
    Clock::time_point filled;
  };
  const double limit_;
  std::mutex mutex_;
  std::map<std::string, Bucket> buckets_;  // of names in the tokens' file only
};

}  // namespace ferry::http
