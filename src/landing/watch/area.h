// One landing area as the event loop sees it: which directories are watched, what is being scanned,
// which paths wait to be looked at. Never reads a file and never calls the metastore, so that the
// kernel's queue is emptied in time. Belongs to one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ferry/base/inotify.h"
#include "ferry/landing/watch.h"
#include "landing/register/inspect.h"
#include "landing/watch/complaints.h"
#include "landing/watch/ignore.h"
#include "landing/watch/root.h"
#include "landing/watch/scan.h"
#include "landing/watch/settle.h"
#include "landing/watch/watch_tree.h"

namespace ferry::landing {

struct AreaTiming {
  Duration rescan_interval;
  Duration poll_interval;
  bool once = false;  // no events: one scan, and what it finds

  bool operator==(const AreaTiming&) const = default;
};

class AreaWatcher final : private ScanVisitor {
 public:
  /// Begins with a rescan. kNotFound or kDenied if there is no such directory.
  static Result<std::unique_ptr<AreaWatcher>> open(LandingArea area, AreaTiming timing,
                                                   TimePoint now);

  /// For poll(2); -1 if there are no events.
  int events_fd() const { return inotify_ ? inotify_->fd() : -1; }
  void read_events(TimePoint now);
  void handle(const InotifyEvent& event, TimePoint now);

  /// The inspectors of an earlier run are gone: what they had not done must be taken again.
  void resume(TimePoint now) { settle_.take_back(now); }

  /// Timers, and a bounded piece of scanning.
  void advance(TimePoint now);
  /// When to call advance or take next, should nothing else happen.
  TimePoint next_deadline(TimePoint now) const;

  /// Paths that somebody must inspect now and give back through inspected.
  std::vector<DuePath> take(TimePoint now);
  void inspected(const std::string& path, const Inspection& inspection, TimePoint now);

  /// Directories whose registered files must be checked for being there; "" means all. Then
  /// sweep_done must be called.
  std::vector<std::string> take_sweep(TimePoint now);
  void sweep_done() { sweeping_ = false; }

  const LandingArea& area() const { return area_; }
  const AreaTiming& timing() const { return timing_; }
  /// Null while the area is not there.
  const std::shared_ptr<const Root>& root() const { return root_; }
  bool armed() const { return armed_; }  // every directory has been armed once
  bool idle() const;
  std::uint64_t unsettled() const { return unsettled_; }
  std::uint64_t failed() const { return failed_; }
  const IgnoredCounts& ignored() const { return ignored_; }

 private:
  AreaWatcher(LandingArea area, AreaTiming timing);

  Result<void> attach(std::string_view reason, TimePoint now);
  void open_events();
  /// False if the path does not lead to the same directory any more; then all is forgotten.
  bool check_root(TimePoint now);
  void lose(const std::string& reason, TimePoint now);
  void give_up_rescan(const Error& error, TimePoint now);
  void rescan(std::string_view reason);
  void conclude_rescan(TimePoint now);
  void fall_back_to_polling(const Error& error, std::string_view cure);
  Duration interval() const;
  bool can_list() const;

  void handle_self(const InotifyEvent& event, const std::string& directory, TimePoint now);
  void handle_directory(EventKind kind, const std::string& directory, TimePoint now);
  void handle_file(EventKind kind, const std::string& path, TimePoint now);
  void drop_watches(const std::string& directory);
  bool is_quarantine(const std::string& directory) const;
  bool nameable(const std::string& path);
  void offer(const std::string& path, TimePoint due);
  void complain(std::string_view event, const std::string& path, std::string_view reason);
  void handle_unsettled(const std::string& path, const Inspection& inspection, TimePoint now);

  bool arm(const std::string& directory) override;
  bool enters(const std::string& directory) override;
  void found(const std::string& path) override;
  void unreadable(const std::string& directory, const Error& error) override;

  LandingArea area_;
  AreaTiming timing_;
  IgnoreRules ignore_;
  std::shared_ptr<const Root> root_;
  std::optional<Inotify> inotify_;
  WatchTree tree_;
  Scan scan_;
  SettleQueue settle_;
  Complaints complaints_;

  bool armed_ = false;
  bool rescanning_ = false;
  std::string reason_;                // of the rescan that goes on
  std::optional<std::string> again_;  // why another one must follow
  std::uint64_t directories_ = 0;     // that the rescan has seen
  std::uint64_t files_ = 0;
  IgnoredCounts ignored_;
  bool limited_ = false;  // the kernel allows no more watches
  TimePoint now_;         // while a scan step calls back
  TimePoint next_rescan_;
  TimePoint next_root_check_;

  bool sweeping_ = false;
  std::vector<std::string> to_sweep_;
  TimePoint sweep_due_;

  std::uint64_t unsettled_ = 0;
  std::uint64_t failed_ = 0;
};

}  // namespace ferry::landing
