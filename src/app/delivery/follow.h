// When an agent that goes on (transfer --follow) tries again.
#pragma once

#include <chrono>
#include <optional>

namespace ferry::app {

/// When to try a destination again that could not be reached. Pure: time comes from the caller.
class Patience {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::seconds kFirst{5};
  static constexpr std::chrono::seconds kLongest{300};

  void reached() { wait_ = kFirst; }
  /// Returns how long to wait.
  std::chrono::seconds failed();

 private:
  std::chrono::seconds wait_ = kFirst;
};

/// Whether nothing has been pending for long enough. Pure, too.
class IdleTime {
 public:
  using Clock = std::chrono::steady_clock;

  /// LIMIT 0: it is never long enough.
  explicit IdleTime(std::chrono::milliseconds limit) : limit_(limit) {}

  void look(bool is_pending, Clock::time_point now);
  bool is_over(Clock::time_point now) const { return ends() && now >= *ends(); }
  /// When it will be, if nothing becomes pending until then.
  std::optional<Clock::time_point> ends() const;

 private:
  std::chrono::milliseconds limit_;
  std::optional<Clock::time_point> since_;
};

}  // namespace ferry::app
