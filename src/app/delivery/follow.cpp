#include "app/delivery/follow.h"

#include <algorithm>
#include <utility>

namespace ferry::app {

std::chrono::seconds Patience::failed() {
  return std::exchange(wait_, std::min(wait_ * 2, kLongest));
}

void IdleTime::look(bool is_pending, Clock::time_point now) {
  if (is_pending) {
    since_.reset();
  } else if (!since_) {
    since_ = now;
  }
}

std::optional<IdleTime::Clock::time_point> IdleTime::ends() const {
  const bool is_limited = limit_.count() > 0 && since_;
  return is_limited ? std::optional(*since_ + limit_) : std::nullopt;
}

}  // namespace ferry::app
