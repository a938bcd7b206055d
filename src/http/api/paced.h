// An answer that many want again and again, and that takes time to find.
#pragma once

#include <chrono>
#include <mutex>

#include "ferry/base/json.h"
#include "ferry/base/result.h"

namespace ferry::http {

/// Looks for it in a twentieth of the time at most; in between, everybody gets the last answer.
/// Thread-safe; those who ask while somebody looks wait.
class Paced {
 public:
  template <typename Look>
  Result<Json> ask(const Look& look) {
    const std::lock_guard lock(mutex_);
    const auto begin = Clock::now();
    if (begin < again_) return last_;
    auto answer = look();
    if (!answer) return answer;
    const auto end = Clock::now();
    again_ = end + kRest * (end - begin);
    last_ = *answer;
    return answer;
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr int kRest = 19;

  std::mutex mutex_;
  Clock::time_point again_{};
  Json last_;
};

}  // namespace ferry::http
