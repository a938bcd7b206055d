// Says whether threads make progress, for a watchdog that must not be fed for one that hangs.
//
// A thread is busy from one beat to the next, and must beat often while it is; or it rests: it
// waits for work, or for something that has a deadline of its own. A thread that is stuck in a
// system call does neither.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace ferry::landing {

/// Of one thread. Another may ask it.
class Pulse {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Pulse(std::string name = {}) : name_(std::move(name)) {}

  /// The thread is at work, and made some progress.
  void beat() { last_.store(Clock::now().time_since_epoch().count()); }
  void rest() { last_.store(kResting); }

  const std::string& name() const { return name_; }
  /// How long it has been busy without a beat.
  Clock::duration silent_for(Clock::time_point now) const {
    const Clock::rep last = last_.load();
    const Clock::duration at(last);
    return last == kResting ? Clock::duration::zero() : now.time_since_epoch() - at;
  }

 private:
  static constexpr Clock::rep kResting = -1;
  const std::string name_;
  std::atomic<Clock::rep> last_{kResting};
};

/// While it lives, the thread waits for something that ends by itself.
class Rest {
 public:
  explicit Rest(Pulse& pulse) : pulse_(pulse) { pulse_.rest(); }
  Rest(const Rest&) = delete;
  Rest& operator=(const Rest&) = delete;
  ~Rest() { pulse_.beat(); }

 private:
  Pulse& pulse_;
};

/// The pulses of all threads that must make progress. Thread-safe.
class Pulses {
 public:
  /// Lives as long as this object.
  Pulse& add(std::string name) {
    const std::scoped_lock lock(mutex_);
    return pulses_.emplace_back(std::move(name));
  }

  /// The thread that has been silent for longest, if that is longer than PATIENCE.
  const Pulse* stuck(Pulse::Clock::time_point now, Pulse::Clock::duration patience) {
    const std::scoped_lock lock(mutex_);
    const auto longest = std::ranges::max_element(
        pulses_, {}, [&](const Pulse& pulse) { return pulse.silent_for(now); });
    const bool is_stuck = longest != pulses_.end() && longest->silent_for(now) > patience;
    return is_stuck ? &*longest : nullptr;
  }

 private:
  std::mutex mutex_;
  std::deque<Pulse> pulses_;
};

}  // namespace ferry::landing
