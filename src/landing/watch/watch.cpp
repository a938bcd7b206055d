#include "ferry/landing/watch.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>
#include <span>
#include <thread>
#include <utility>

#include "ferry/base/log.h"
#include "ferry/base/writers.h"
#include "landing/register/registrar.h"
#include "landing/register/workers.h"
#include "landing/watch/area.h"
#include "landing/watch/mailbox.h"
#include "landing/watch/remote_area.h"

namespace ferry::landing {
namespace {

using Areas = std::vector<std::unique_ptr<AreaWatcher>>;

constexpr std::size_t kMostThreads = 8;

std::size_t thread_count(std::size_t wanted) {
  if (wanted > 0) return wanted;
  return std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, kMostThreads);
}

AreaTiming timing_of(const WatchOptions& options) {
  return {.rescan_interval = options.rescan_interval,
          .poll_interval = options.poll_interval,
          .once = options.once};
}

/// Moves the areas that lie on servers to the end: the others are numbered by their AreaWatchers.
std::size_t put_remote_areas_last(WatchOptions& options) {
  const auto remote = std::ranges::stable_partition(
      options.areas, [](const LandingArea& area) { return !area.is_remote(); });
  return options.areas.size() - remote.size();
}

/// The event loop: takes events off the kernel's queue, hands out work, collects results.
class Loop {
 public:
  Loop(metastore::Metastore& metastore, const WatchOptions& options, const WatchHooks& hooks,
       StopToken& stop, ReloadRequest& reload, Areas& areas)
      : options_(options),
        hooks_(hooks),
        stop_(stop),
        reload_(reload),
        areas_(areas),
        registrar_(metastore, options.areas, !options.once, stop, mailbox_,
                   pulses_.add("registrar")),
        workers_(thread_count(options.hash_threads), options.areas, metastore, !options.once,
                 registrar_, mailbox_, pulses_) {
    for (std::size_t i = areas_.size(); i < options.areas.size(); ++i) {
      remote_areas_.push_back(std::make_unique<RemoteArea>(
          options.areas[i], i, RemoteTiming{options.poll_interval, options.once}, metastore,
          registrar_, mailbox_));
    }
  }

  ferry::Outcome<WatchSummary> run() {
    for (const auto& area : areas_) area->resume(Clock::now());
    while (!stop_.stop_requested() && !reload_waits_ && !failure_ && !finished()) {
      for (const auto& area : areas_) area->advance(Clock::now());
      hand_out();
      give_signs_of_life();
      wait();
      collect();
    }
    workers_.stop();
    for (const auto& area : remote_areas_) area->stop();
    registrar_.finish();
    collect();
    if (failure_) return std::unexpected(*failure_);
    return summary();
  }

 private:
  /// With once: all that was there is registered, or an area was lost.
  bool finished() {
    if (!options_.once) return false;
    for (const auto& area : areas_) {
      if (!area->root()) {
        failure_ = {Origin::kLocal,
                    make_error(ErrorKind::kNotFound, "landing area {} went away while it was read",
                               area->area().path.string())};
        return true;
      }
    }
    return std::ranges::all_of(areas_, [](const auto& area) { return area->idle(); }) &&
           std::ranges::all_of(remote_areas_, [](const auto& area) { return area->done(); });
  }

  void hand_out() {
    const TimePoint now = Clock::now();
    for (std::size_t i = 0; i < areas_.size(); ++i) {
      for (DuePath& candidate : areas_[i]->take(now)) {
        workers_.submit({i, areas_[i]->root(), std::move(candidate)});
      }
      auto directories = areas_[i]->take_sweep(now);
      if (!directories.empty()) registrar_.sweep({i, areas_[i]->root(), std::move(directories)});
    }
  }

  void give_signs_of_life() {
    const auto armed = [](const auto& area) { return area->armed(); };
    if (!ready_ && std::ranges::all_of(areas_, armed)) {
      ready_ = true;
      if (hooks_.on_ready) hooks_.on_ready();
    }
    if (hooks_.on_alive && Clock::now() >= next_alive_) {
      if (all_make_progress()) hooks_.on_alive();
      // Twice as often as asked for: a turn of the loop takes time too.
      next_alive_ = Clock::now() + hooks_.alive_interval / 2;
    }
  }

  bool all_make_progress() {
    const Pulse* stuck = pulses_.stuck(Clock::now(), options_.patience);
    const bool is_new = stuck != nullptr && stuck != stuck_;
    stuck_ = stuck;
    if (is_new) {
      const auto silent = stuck->silent_for(Clock::now());
      log::error("no progress",
                 {{"thread", stuck->name()},
                  {"seconds", std::chrono::floor<std::chrono::seconds>(silent).count()},
                  {"next", "the service manager is not told that we are alive until it goes on"}});
    }
    return stuck == nullptr;
  }

  int poll_timeout() const {
    const TimePoint now = Clock::now();
    TimePoint next = hooks_.on_alive ? next_alive_ : now + std::chrono::hours(1);
    for (const auto& area : areas_) next = std::min(next, area->next_deadline(now));
    if (next <= now) return 0;
    return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(next - now).count());
  }

  void wait() {
    std::vector<pollfd> descriptors{
        {reload_.fd(), POLLIN, 0}, {stop_.fd(), POLLIN, 0}, {mailbox_.fd(), POLLIN, 0}};
    for (const auto& area : areas_) descriptors.push_back({area->events_fd(), POLLIN, 0});
    if (::poll(descriptors.data(), descriptors.size(), poll_timeout()) < 0 && errno != EINTR) {
      failure_ = {Origin::kLocal, errno_error(errno, "wait for events")};
      return;
    }
    reload_waits_ = descriptors.front().revents != 0;
    for (const auto& area : areas_) area->read_events(Clock::now());
  }

  void collect() {
    Mail mail = mailbox_.take();
    const TimePoint now = Clock::now();
    for (const Finished& finished : mail.finished) {
      if (finished.area < areas_.size()) {
        areas_[finished.area]->inspected(finished.path, finished.inspection, now);
      } else {
        remote_areas_[finished.area - areas_.size()]->recorded(finished.path);
      }
    }
    for (const std::size_t area : mail.swept) {
      if (area < areas_.size()) areas_[area]->sweep_done();
    }
    if (mail.failure && !failure_) failure_ = std::move(mail.failure);
  }

  WatchSummary summary() const {
    WatchSummary summary{.registered = registrar_.inserted(),
                         .bytes = registrar_.bytes(),
                         .quarantined = registrar_.quarantined()};
    for (const auto& area : areas_) {
      summary.unsettled += area->unsettled();
      summary.failed += area->failed();
      summary.ignored += area->ignored();
    }
    for (const auto& area : remote_areas_) {
      summary.unsettled += area->unsettled();
      summary.failed += area->failed();
      summary.ignored += area->ignored();
    }
    return summary;
  }

  const WatchOptions& options_;
  const WatchHooks& hooks_;
  StopToken& stop_;
  ReloadRequest& reload_;
  Areas& areas_;
  Mailbox mailbox_;
  Pulses pulses_;
  Registrar registrar_;
  Workers workers_;
  std::vector<std::unique_ptr<RemoteArea>> remote_areas_;
  bool ready_ = false;
  bool reload_waits_ = false;
  const Pulse* stuck_ = nullptr;  // what was told of
  TimePoint next_alive_;
  std::optional<Failure> failure_;
};

class AreasWatcher final : public Watcher {
 public:
  Result<void> change(WatchOptions options) override {
    const std::size_t local_count = put_remote_areas_last(options);
    const auto local = std::span(options.areas).first(local_count);
    Areas opened;
    for (const LandingArea& area : local) {
      if (find(area, timing_of(options)) != areas_.end()) continue;
      auto watcher = AreaWatcher::open(area, timing_of(options), Clock::now());
      if (!watcher) return watcher.error();
      opened.push_back(std::move(*watcher));
    }
    Areas areas;
    auto next_opened = opened.begin();
    for (const LandingArea& area : local) {
      const auto kept = find(area, timing_of(options));
      areas.push_back(std::move(kept != areas_.end() ? *kept : *next_opened++));
    }
    areas_ = std::move(areas);
    options_ = std::move(options);
    return {};
  }

  ferry::Outcome<WatchSummary> run(metastore::Metastore& metastore, const WatchHooks& hooks,
                                   StopToken& stop, ReloadRequest& reload) override {
    return Loop(metastore, options_, hooks, stop, reload, areas_).run();
  }

 private:
  Areas::iterator find(const LandingArea& area, const AreaTiming& timing) {
    return std::ranges::find_if(areas_, [&](const auto& watcher) {
      return watcher && watcher->area() == area && watcher->timing() == timing;
    });
  }

  const LeaseSignalGuard guard_;
  WatchOptions options_;
  Areas areas_;
};

}  // namespace

Result<std::unique_ptr<Watcher>> open_watcher(WatchOptions options) {
  auto watcher = std::make_unique<AreasWatcher>();
  if (auto changed = watcher->change(std::move(options)); !changed) return changed.error();
  return watcher;
}

ferry::Outcome<WatchSummary> watch(metastore::Metastore& metastore, const WatchOptions& options,
                                   const WatchHooks& hooks, StopToken& stop) {
  auto watcher = open_watcher(options);
  if (!watcher) return fail(watcher.error());
  ReloadRequest never;
  return (*watcher)->run(metastore, hooks, stop, never);
}

}  // namespace ferry::landing
