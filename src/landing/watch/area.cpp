#include "landing/watch/area.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "ferry/base/log.h"
#include "ferry/base/path.h"
#include "ferry/base/subtrees.h"
#include "landing/quarantine/quarantine_folder.h"

namespace ferry::landing {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kScanBudget = 2'000;    // entries between two looks at the event queue
constexpr std::size_t kMostInFlight = 4'096;  // paths with the workers and the registrar
constexpr std::size_t kMostFresh = 16'384;    // scanned paths; events are never held back
constexpr Duration kRootCheck = std::chrono::seconds(1);
constexpr Duration kSweepDelay = milliseconds(100);  // one sweep for a tree that is being removed
constexpr Duration kUnansweredDelay = std::chrono::seconds(1);  // of the metastore
constexpr Duration kOncePatience = std::chrono::seconds(2);

/// A new name is looked at after this: by then most writers have closed the file, which is an event
/// of its own, and only names that link(2) made are left (sftp-server renames that way).
constexpr Duration kCreatedDelay = milliseconds(100);

/// An error of Root::find or Root::open that says that the area is not there.
bool is_loss(const Error& error) {
  return error.kind == ErrorKind::kNotFound || error.kind == ErrorKind::kDenied;
}

}  // namespace

AreaWatcher::AreaWatcher(LandingArea area, AreaTiming timing)
    : area_(std::move(area)), timing_(timing), ignore_(area_.ignore) {}

Result<std::unique_ptr<AreaWatcher>> AreaWatcher::open(LandingArea area, AreaTiming timing,
                                                       TimePoint now) {
  std::unique_ptr<AreaWatcher> watcher(new AreaWatcher(std::move(area), timing));
  if (auto attached = watcher->attach("start", now); !attached) return attached.error();
  return watcher;
}

Result<void> AreaWatcher::attach(std::string_view reason, TimePoint now) {
  auto root = Root::find(area_.path);
  next_root_check_ = now + std::min(timing_.poll_interval, kRootCheck);
  if (!root) return root.error();
  root_ = std::make_shared<const Root>(std::move(*root));
  limited_ = false;
  if (!timing_.once) open_events();
  if (!root_->is_local()) {
    log::info("polling", {{"landing", area_.name},
                          {"path", area_.path.string()},
                          {"reason", "its file system reports no changes made elsewhere"}});
  }
  rescan(reason);
  return {};
}

void AreaWatcher::open_events() {
  auto inotify = Inotify::create();
  if (inotify) {
    inotify_.emplace(std::move(*inotify));
  } else {
    fall_back_to_polling(inotify.error(), "raise fs.inotify.max_user_instances");
  }
}

bool AreaWatcher::check_root(TimePoint now) {
  if (!root_) return false;
  const auto found = Root::find(area_.path);
  if (found && found->same_directory(*root_)) return true;
  if (!found && !is_loss(found.error())) return true;
  lose(found ? "another directory has taken its place" : found.error().message, now);
  return false;
}

/// It cannot be told what is there: too many open files, say. What was known stays.
void AreaWatcher::give_up_rescan(const Error& error, TimePoint now) {
  unreadable("", error);
  rescanning_ = false;
  again_.reset();
  scan_.clear();
  next_rescan_ = now + timing_.poll_interval;
}

void AreaWatcher::lose(const std::string& reason, TimePoint now) {
  log::error("landing area lost", {{"landing", area_.name},
                                   {"path", area_.path.string()},
                                   {"reason", reason},
                                   {"cure", "mount or create it; watching goes on by itself"}});
  root_.reset();
  inotify_.reset();
  tree_ = WatchTree();
  scan_.clear();
  settle_.clear();
  to_sweep_.clear();
  again_.reset();
  rescanning_ = false;
  next_root_check_ = now;
}

void AreaWatcher::rescan(std::string_view reason) {
  if (rescanning_) {
    // What this one has read already may have changed since.
    again_ = reason;
    return;
  }
  rescanning_ = true;
  reason_ = reason;
  directories_ = files_ = 0;
  ignored_ = {};
  limited_ = false;
  tree_.begin_generation();
  scan_.clear();
  if (!area_.only) return scan_.add("");
  for (const std::string& directory : area_.only->directories) scan_.add(directory);
  for (const std::string& file : area_.only->files) found(file);
}

void AreaWatcher::conclude_rescan(TimePoint now) {
  rescanning_ = false;
  for (const int watch : tree_.remove_stale()) inotify_->unwatch(watch);
  log::info("rescan", {{"landing", area_.name},
                       {"reason", reason_},
                       {"directories", directories_},
                       {"files", files_},
                       {"ignored", ignored_.all()}});
  to_sweep_ = area_.only ? area_.only->directories : std::vector<std::string>{""};
  sweep_due_ = now;
  next_rescan_ = now + interval();
  if (again_) rescan(*std::exchange(again_, std::nullopt));
}

Duration AreaWatcher::interval() const {
  const bool events = inotify_ && !limited_ && root_ && root_->is_local();
  return events ? timing_.rescan_interval : timing_.poll_interval;
}

void AreaWatcher::fall_back_to_polling(const Error& error, std::string_view cure) {
  if (complaints_.is_new("", error.message)) {
    log::error("polling", {{"landing", area_.name}, {"reason", error.message}, {"cure", cure}});
  }
}

bool AreaWatcher::can_list() const {
  return settle_.fresh() < kMostFresh;
}

void AreaWatcher::advance(TimePoint now) {
  now_ = now;
  if (!root_) {
    if (now < next_root_check_) return;
    if (const auto attached = attach("landing area is back", now); !attached) return;
    log::info("landing area is back", {{"landing", area_.name}, {"path", area_.path.string()}});
  }
  if (!rescanning_ && !timing_.once && now >= next_rescan_ && check_root(now)) rescan("timer");
  if (!root_ || (scan_.done() && !rescanning_)) return;
  const auto root_fd = root_->open();
  if (!root_fd) {
    if (check_root(now)) give_up_rescan(root_fd.error(), now);
    return;
  }
  scan_.step(root_fd->get(), *this, kScanBudget, can_list());
  if (!root_) return;
  armed_ = armed_ || scan_.all_armed();
  if (scan_.done() && rescanning_) conclude_rescan(now);
}

TimePoint AreaWatcher::next_deadline(TimePoint now) const {
  if (!root_) return next_root_check_;
  if (!scan_.all_armed() || (!scan_.done() && can_list())) return now;
  TimePoint next = timing_.once || rescanning_ ? TimePoint::max() : next_rescan_;
  if (!to_sweep_.empty() && !sweeping_) next = std::min(next, sweep_due_);
  if (settle_.in_flight() < kMostInFlight) next = std::min(next, settle_.next_due().value_or(next));
  return next;
}

std::vector<DuePath> AreaWatcher::take(TimePoint now) {
  if (!root_ || settle_.in_flight() >= kMostInFlight) return {};
  return settle_.take(now, kMostInFlight - settle_.in_flight());
}

std::vector<std::string> AreaWatcher::take_sweep(TimePoint now) {
  if (!root_ || sweeping_ || to_sweep_.empty() || now < sweep_due_) return {};
  sweeping_ = true;
  return Subtrees(std::exchange(to_sweep_, {})).tops();
}

bool AreaWatcher::idle() const {
  return root_ && scan_.done() && settle_.empty() && to_sweep_.empty() && !sweeping_;
}

void AreaWatcher::inspected(const std::string& path, const Inspection& inspection, TimePoint now) {
  using Outcome = Inspection::Outcome;
  switch (inspection.outcome) {
    case Outcome::kUnsettled:
      return handle_unsettled(path, inspection, now);
    case Outcome::kEscapes:
      complain("skipped", path, inspection.reason);
      break;
    case Outcome::kUnreadable:
      if (complaints_.is_new(path, inspection.reason)) {
        ++failed_;
        log::warning("unreadable", {{"landing", area_.name},
                                    {"path", printable(path)},
                                    {"reason", inspection.reason},
                                    {"next", "it is tried again with the next rescan"}});
      }
      break;
    case Outcome::kRootLost:
      // Where it is there after all, the path is looked at again.
      if (check_root(now)) return settle_.unsettled(path, {}, std::nullopt, now);
      break;
    case Outcome::kUnanswered:
      return settle_.unsettled(path, {}, kUnansweredDelay, now);
    case Outcome::kLarge:
      return settle_.set_aside(path);
    case Outcome::kCancelled:
      return;  // and stays in flight
    default:
      complaints_.settle(path);
  }
  settle_.finished(path, now);
}

void AreaWatcher::handle_unsettled(const std::string& path, const Inspection& inspection,
                                   TimePoint now) {
  const bool by_policy = !inspection.reason.empty();
  const Duration unsettled_for = settle_.unsettled_for(path, now);
  const Duration patience = std::max<Duration>(area_.settle, kOncePatience);
  if (timing_.once && (by_policy || unsettled_for >= patience)) {
    ++unsettled_;
    settle_.give_up(path);
    log::warning(by_policy ? "too young" : "still being written",
                 {{"landing", area_.name},
                  {"path", printable(path)},
                  {"next", by_policy ? "a later run registers it once it is old enough"
                                     : "the next run registers it once it is closed"}});
    return;
  }
  if (!by_policy && unsettled_for >= area_.unsettled_after) {
    complain("still being written", path,
             fmt::format("it has not come to rest for {} s",
                         std::chrono::floor<std::chrono::seconds>(area_.unsettled_after).count()));
  }
  settle_.unsettled(path, inspection.identity, inspection.wait, now);
}

void AreaWatcher::complain(std::string_view event, const std::string& path,
                           std::string_view reason) {
  if (!complaints_.is_new(path, reason)) return;
  log::warning(event, {{"landing", area_.name}, {"path", printable(path)}, {"reason", reason}});
}

bool AreaWatcher::nameable(const std::string& path) {
  const auto problem = name_problem(base_name(path));
  if (problem) complain("skipped", path, *problem);
  return !problem;
}

void AreaWatcher::offer(const std::string& path, TimePoint due) {
  if (!ignore_.ignores_file(path)) settle_.notice(path, due);
}

bool AreaWatcher::is_quarantine(const std::string& directory) const {
  return area_.path / directory == QuarantineFolder::path_of(area_);
}

void AreaWatcher::read_events(TimePoint now) {
  if (!inotify_) return;
  const auto events = inotify_->read_events();
  if (!events) {
    log::warning("events lost", {{"landing", area_.name}, {"reason", events.error().message}});
    rescan("events lost");
    return;
  }
  for (const InotifyEvent& event : *events) handle(event, now);
}

void AreaWatcher::handle(const InotifyEvent& event, TimePoint now) {
  if (!root_) return;
  if (event.kind == EventKind::kOverflow) {
    log::warning("events lost",
                 {{"landing", area_.name}, {"reason", "the event queue overflowed"}});
    return rescan("overflow");
  }
  const std::string* watched = tree_.directory_of(event.watch);
  if (watched == nullptr) return;
  const std::string directory = *watched;
  if (event.name.empty()) return handle_self(event, directory, now);
  const std::string path = join(directory, event.name);
  if (event.directory) {
    handle_directory(event.kind, path, now);
  } else {
    handle_file(event.kind, path, now);
  }
}

void AreaWatcher::handle_self(const InotifyEvent& event, const std::string& directory,
                              TimePoint now) {
  if (event.kind == EventKind::kUnmounted && !directory.empty()) {
    // What it was mounted on is there, and watched by nobody.
    tree_.forget(event.watch);
    return scan_.add(directory);
  }
  if (event.kind == EventKind::kUnwatched) tree_.forget(event.watch);
  if (directory.empty() && check_root(now) && event.kind == EventKind::kUnwatched) {
    rescan("watch lost");
  }
}

void AreaWatcher::handle_directory(EventKind kind, const std::string& directory, TimePoint now) {
  if (is_hidden(base_name(directory))) return;
  switch (kind) {
    case EventKind::kCreated:
      if (enters(directory)) scan_.add(directory);
      break;
    case EventKind::kMovedIn:
      drop_watches(directory);
      if (enters(directory)) scan_.add(directory);
      break;
    case EventKind::kMovedOut:
    case EventKind::kDeleted:
      drop_watches(directory);
      if (to_sweep_.empty()) sweep_due_ = now + kSweepDelay;
      to_sweep_.push_back(directory);
      break;
    default:
      break;
  }
}

void AreaWatcher::handle_file(EventKind kind, const std::string& path, TimePoint now) {
  switch (kind) {
    case EventKind::kWritten:
    case EventKind::kMovedIn:
    case EventKind::kMovedOut:
    case EventKind::kDeleted:
      offer(path, now);
      break;
    case EventKind::kCreated:
      offer(path, now + kCreatedDelay);
      break;
    default:
      break;
  }
}

void AreaWatcher::drop_watches(const std::string& directory) {
  for (const int watch : tree_.remove_below(directory)) inotify_->unwatch(watch);
}

bool AreaWatcher::arm(const std::string& directory) {
  if (rescanning_) ++directories_;
  if (!inotify_) return true;
  // "/." makes an area that is given by a symbolic link work.
  const auto watch =
      inotify_->watch_directory(area_.path.string() + "/" + (directory.empty() ? "." : directory));
  if (watch) {
    tree_.set(*watch, directory);
    return true;
  }
  if (watch.error().kind == ErrorKind::kNotFound) return false;
  // It is read all the same, if that is possible, with each rescan.
  if (watch.error().os_code == ENAMETOOLONG) return true;
  if (watch.error().os_code == ENOSPC) {
    limited_ = true;
    fall_back_to_polling(make_error(ErrorKind::kIo, "the limit of inotify watches is reached"),
                         "raise fs.inotify.max_user_watches");
  } else if (watch.error().kind != ErrorKind::kDenied) {
    limited_ = true;
    fall_back_to_polling(watch.error(), "see the reason");
  }
  return true;
}

bool AreaWatcher::enters(const std::string& directory) {
  if (is_hidden(base_name(directory))) {
    if (rescanning_ && !is_quarantine(directory)) ++ignored_.hidden_directories;
    return false;
  }
  if (!nameable(directory)) return false;
  return rescanning_ || !tree_.contains(directory);
}

void AreaWatcher::found(const std::string& path) {
  const auto rule = ignore_.find_rule(path);
  if (rescanning_) {
    ++files_;
    if (rule) count(ignored_, *rule);
  }
  if (!rule) settle_.notice(path, now_);
}

void AreaWatcher::unreadable(const std::string& directory, const Error& error) {
  if (!complaints_.is_new(directory, error.message)) return;
  ++failed_;
  log::warning("unreadable", {{"landing", area_.name},
                              {"path", printable(directory)},
                              {"reason", error.message},
                              {"next", "it is tried again with the next rescan"}});
}

}  // namespace ferry::landing
