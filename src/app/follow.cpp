#include "app/follow.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <utility>

namespace ferry::app {
namespace {

using Clock = Patience::Clock;
using std::chrono::milliseconds;

constexpr milliseconds kLongest{30'000};  // until what failed is looked at again

class Follower {
 public:
  Follower(metastore::Metastore& store, metastore::ChangeNotice& changes,
           const FollowOptions& options, const StopToken& stop, ReloadRequest& reload)
      : store_(store),
        changes_(changes),
        options_(options),
        stop_(stop),
        reload_(reload),
        patience_(options.destinations) {}

  Result<FollowEnd> run() {
    for (;;) {
      // Before the runs: what is registered meanwhile must be seen.
      changes_.clear();
      const std::uint64_t files = run_due();
      if (stop_.stop_requested()) return FollowEnd::kStopped;
      if (reload_.take()) return FollowEnd::kReload;
      if (files > 0) continue;
      const auto idle = is_idle_for_long();
      if (!idle) return idle.error();
      if (*idle) return FollowEnd::kIdle;
      options_.on_waiting();
      wait();
    }
  }

 private:
  std::uint64_t run_due() {
    std::uint64_t files = 0;
    for (std::size_t i = 0; i < patience_.size() && !stop_.stop_requested(); ++i) {
      if (!patience_[i].is_due(Clock::now())) continue;
      const auto ran = options_.run(i);
      if (ran) {
        patience_[i].reached();
        files += *ran;
      } else if (!stop_.stop_requested()) {
        options_.on_error(i, ran.error(), patience_[i].failed(Clock::now()));
      }
    }
    return files;
  }

  Result<bool> is_idle_for_long() {
    if (!options_.exit_when_idle) return false;
    const auto pending = store_.is_pending();
    if (!pending) return pending.error();
    if (*pending || !idle_since_) idle_since_ = Clock::now();
    return !*pending && Clock::now() - *idle_since_ >= *options_.exit_when_idle;
  }

  Clock::time_point wake_up_time() const {
    Clock::time_point wake_up = Clock::now() + kLongest;
    for (const Patience& patience : patience_) {
      if (!patience.is_due(Clock::now())) wake_up = std::min(wake_up, patience.next());
    }
    if (idle_since_) wake_up = std::min(wake_up, *idle_since_ + *options_.exit_when_idle);
    return wake_up;
  }

  void wait() const {
    std::array<pollfd, 3> requests{
        {{stop_.fd(), POLLIN, 0}, {reload_.fd(), POLLIN, 0}, {changes_.fd(), POLLIN, 0}}};
    const auto left = std::chrono::ceil<milliseconds>(wake_up_time() - Clock::now());
    const auto time = std::max(left, milliseconds(0));
    ::poll(requests.data(), requests.size(), static_cast<int>(time.count()));
  }

  metastore::Metastore& store_;
  metastore::ChangeNotice& changes_;
  const FollowOptions& options_;
  const StopToken& stop_;
  ReloadRequest& reload_;
  std::vector<Patience> patience_;
  std::optional<Clock::time_point> idle_since_;
};

}  // namespace

void Patience::reached() {
  next_ = {};
  wait_ = kFirst;
}

std::chrono::seconds Patience::failed(Clock::time_point now) {
  next_ = now + wait_;
  return std::exchange(wait_, std::min(wait_ * 2, kLongest));
}

Result<FollowEnd> follow(metastore::Metastore& store, const FollowOptions& options,
                         const StopToken& stop, ReloadRequest& reload) {
  const auto changes = store.watch_changes();
  if (!changes) return changes.error();
  return Follower(store, **changes, options, stop, reload).run();
}

}  // namespace ferry::app
