#include "ferry/sftp/event_loop.h"
#include "ferry/base/event_fd.h"

#include <unistd.h>

#include <algorithm>
#include <climits>

namespace ferry::sftp {
namespace {

/// poll(2) that returns sooner than this was no sleep: something that it waits for is not dealt
/// with when it comes.
constexpr std::chrono::milliseconds kSleep{1};

}  // namespace

EventLoop::EventLoop(StopToken& stop) : stop_(stop), wakeup_(make_event_fd()) {}

void EventLoop::remove(Source& source) {
  std::ranges::replace(sources_, &source, nullptr);  // a turn may be under way
}

detail::Detached EventLoop::detach(Task<void> task, std::size_t& active) {
  ++active;
  co_await task;
  --active;
}

void EventLoop::spawn(Task<void> task) {
  detach(std::move(task), active_tasks_);
}

void EventLoop::run() {
  note_progress();
  while (active_tasks_ > 0) {
    const bool served = serve_sources();
    const bool called = run_posted();
    expire_timers();
    const bool resumed = resume_ready();
    if (served) note_progress();
    if (!served && !called && !resumed && active_tasks_ > 0) sleep();
  }
  progress_.store(0, std::memory_order_relaxed);
}

bool EventLoop::serve_sources() {
  bool any = false;
  for (std::size_t i = 0; i < sources_.size(); ++i) {  // it may grow meanwhile
    if (sources_[i] != nullptr && sources_[i]->serve()) any = true;
  }
  std::erase(sources_, nullptr);
  return any;
}

void EventLoop::post(std::function<void()> function) {
  {
    const std::scoped_lock lock(posted_mutex_);
    posted_.push_back(std::move(function));
  }
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(wakeup_.get(), &one, sizeof one);
}

bool EventLoop::run_posted() {
  std::vector<std::function<void()>> functions;
  {
    const std::scoped_lock lock(posted_mutex_);
    if (posted_.empty()) return false;
    functions.swap(posted_);
    std::uint64_t count = 0;
    // Never blocks (EFD_NONBLOCK), and only with the lock it is known whose wake-up it takes.
    // NOLINTNEXTLINE(clang-analyzer-unix.BlockInCriticalSection)
    [[maybe_unused]] const ssize_t taken = ::read(wakeup_.get(), &count, sizeof count);
  }
  for (const auto& function : functions) function();
  return true;
}

void EventLoop::enqueue(Waiter& waiter, std::optional<Time> until, std::list<Waiter*>* queue) {
  waiter.timer = timers_.emplace(until.value_or(Time::max()), &waiter);
  waiter.queue = queue;
  if (queue != nullptr) waiter.place = queue->insert(queue->end(), &waiter);
}

void EventLoop::make_ready(Waiter& waiter) {
  timers_.erase(waiter.timer);
  if (waiter.queue != nullptr) waiter.queue->erase(waiter.place);
  ready_.push_back(waiter.waiting);
}

/// Those whose time has come, once each: who waits anew has to wait for the next turn.
void EventLoop::expire_timers() {
  const bool all = stop_.stop_requested();
  const Time now = Clock::now();
  while (!timers_.empty() && (all || timers_.begin()->first <= now)) {
    make_ready(*timers_.begin()->second);
  }
}

bool EventLoop::resume_ready() {
  const auto ready = std::exchange(ready_, {});
  for (const auto waiting : ready) waiting.resume();
  return !ready.empty();
}

void EventLoop::sleep() {
  poll_fds_.clear();
  Time until = timers_.empty() ? Time::max() : timers_.begin()->first;
  for (Source* source : sources_) {
    if (source != nullptr) until = std::min(until, source->add_poll_fds(poll_fds_));
  }
  poll_fds_.push_back({wakeup_.get(), POLLIN, 0});
  // Once a stop was requested its descriptor stays readable: it has said what it had to say.
  if (!stop_.stop_requested()) poll_fds_.push_back({stop_.fd(), POLLIN, 0});
  const Time before = Clock::now();
  int timeout = -1;
  if (until != Time::max()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - before).count();
    timeout = static_cast<int>(std::clamp<decltype(left)>(left, 0, INT_MAX));
  }
  ::poll(poll_fds_.data(), poll_fds_.size(), timeout);
  if (Clock::now() - before >= kSleep) note_progress();
}

Task<void> EventLoop::sleep_until(Time time) {
  Condition nothing(*this);
  co_await nothing.wait(time);
}

void EventLoop::note_progress() {
  progress_.store(Clock::now().time_since_epoch().count(), std::memory_order_relaxed);
}

std::chrono::nanoseconds EventLoop::idle_time() const {
  const Clock::rep progress = progress_.load(std::memory_order_relaxed);
  if (progress == 0) return {};
  return Clock::now().time_since_epoch() - Clock::duration(progress);
}

void Condition::notify_all() {
  while (!waiters_.empty()) loop_.make_ready(*waiters_.front());
}

void TaskGroup::spawn(Task<void> task) {
  ++running_;
  loop_.spawn(count(std::move(task)));
}

Task<void> TaskGroup::count(Task<void> task) {
  co_await task;
  if (--running_ == 0 && waiting_) loop_.ready_.push_back(std::exchange(waiting_, nullptr));
}

}  // namespace ferry::sftp
