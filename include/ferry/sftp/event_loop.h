// What one thread waits for: the network, points in time, other tasks, and other threads.
//
//   EventLoop loop(stop);
//   auto client = Client::connect(where, options, loop);   // any number of clients on one loop
//   auto entries = loop.wait_for((*client)->list("/in"));  // runs everything until that is done
//   loop.spawn(deliver(**client, file)); …  loop.run();    // until all spawned tasks have ended
//
// Nothing polls: the thread sleeps in poll(2) until there is something to do. Each turn serves each
// source once, however much else there is to do. Once a stop is requested nothing waits for a time
// or a Condition any more; who waits in a loop has to look at the stop.
//
// A loop belongs to one thread at a time. Thread-safe are post and idle_time only.
#pragma once

#include <poll.h>

#include <atomic>
#include <chrono>
#include <coroutine>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "ferry/base/fd.h"
#include "ferry/base/stop.h"
#include "ferry/sftp/task.h"

namespace ferry::sftp {

class EventLoop {
 public:
  using Clock = std::chrono::steady_clock;
  using Time = Clock::time_point;

  /// Something with descriptors, such as a connection.
  class Source {
   public:
    virtual ~Source() = default;
    /// Does what can be done without waiting. True if it did something.
    virtual bool serve() = 0;
    /// What to wait for until serve is called again, which is no later than the returned time.
    virtual Time add_poll_fds(std::vector<pollfd>& fds) = 0;
  };

  /// STOP must outlive the loop.
  explicit EventLoop(StopToken& stop);
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  StopToken& stop() const { return stop_; }

  /// SOURCE has to be removed before it goes.
  void add(Source& source) { sources_.push_back(&source); }
  void remove(Source& source);

  /// Starts TASK; the loop owns it.
  void spawn(Task<void> task);
  /// Returns when all spawned tasks have ended.
  void run();
  /// Runs TASK, and with it all that is spawned, to its end.
  template <typename T>
  T wait_for(Task<T> task);

  /// Ends at TIME, or as soon as a stop is requested.
  Task<void> sleep_until(Time time);

  /// Goes on in the next turn, when no source is being served.
  class [[nodiscard]] NextTurn {
   public:
    explicit NextTurn(EventLoop& loop) : loop_(loop) {}
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> waiting) { loop_.ready_.push_back(waiting); }
    void await_resume() const {}

   private:
    EventLoop& loop_;
  };
  NextTurn next_turn() { return NextTurn(*this); }

  /// Calls FUNCTION() in a thread of its own and gives what it returns. A stop does not end the
  /// wait: FUNCTION has to look at it.
  template <typename Function>
  auto in_thread(Function function) -> Task<decltype(function())>;

  /// Calls FUNCTION on the loop's thread, in its next turn. Thread-safe.
  void post(std::function<void()> function);

  /// For how long the loop has neither slept nor moved anything: grows without end if a call
  /// blocks, or if tasks keep each other busy. Zero while it does not run. Thread-safe.
  std::chrono::nanoseconds idle_time() const;

 private:
  friend class Condition;
  friend class TaskGroup;
  /// Who waits for a time, a Condition, or both.
  struct Waiter {
    std::coroutine_handle<> waiting;
    std::multimap<Time, Waiter*>::iterator timer;
    std::list<Waiter*>* queue = nullptr;
    std::list<Waiter*>::iterator place;
  };
  class ThreadResult;
  static detail::Detached detach(Task<void> task, std::size_t& active);

  void enqueue(Waiter& waiter, std::optional<Time> until, std::list<Waiter*>* queue);
  void make_ready(Waiter& waiter);
  bool serve_sources();
  bool run_posted();
  bool resume_ready();
  void expire_timers();
  void sleep();
  void note_progress();

  StopToken& stop_;
  UniqueFd wakeup_;  // an eventfd(2)
  std::vector<Source*> sources_;
  std::multimap<Time, Waiter*> timers_;  // of all waiters; Time::max() of those without a time
  std::vector<std::coroutine_handle<>> ready_;
  std::size_t active_tasks_ = 0;
  std::vector<pollfd> poll_fds_;

  std::mutex posted_mutex_;
  std::vector<std::function<void()>> posted_;

  std::atomic<Clock::rep> progress_{0};  // when; 0: not running
};

/// Tasks of one loop that wait until something has changed. Check what is waited for in a loop:
///
///   while (!is_there() && !loop.stop().stop_requested()) co_await changed.wait();
class Condition {
 public:
  explicit Condition(EventLoop& loop) : loop_(loop) {}
  Condition(const Condition&) = delete;
  Condition& operator=(const Condition&) = delete;

  class [[nodiscard]] Wait {
   public:
    Wait(Condition& condition, std::optional<EventLoop::Time> until)
        : condition_(condition), until_(until) {}
    Wait(const Wait&) = delete;
    Wait& operator=(const Wait&) = delete;

    bool await_ready() const { return condition_.loop_.stop().stop_requested(); }
    void await_suspend(std::coroutine_handle<> waiting) {
      waiter_.waiting = waiting;
      condition_.loop_.enqueue(waiter_, until_, &condition_.waiters_);
    }
    void await_resume() const {}

   private:
    Condition& condition_;
    const std::optional<EventLoop::Time> until_;
    EventLoop::Waiter waiter_;
  };

  /// Ends with the next notify_all, at UNTIL, or with a stop.
  Wait wait(std::optional<EventLoop::Time> until = {}) { return {*this, until}; }

  /// Those who wait now go on in the loop's next turn.
  void notify_all();

 private:
  EventLoop& loop_;
  std::list<EventLoop::Waiter*> waiters_;
};

/// Tasks that are waited for together.
///
///   TaskGroup lanes(loop);
///   for (…) lanes.spawn(lane());
///   co_await lanes;   // until all have ended, whatever stops
class TaskGroup {
 public:
  explicit TaskGroup(EventLoop& loop) : loop_(loop) {}
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;

  void spawn(Task<void> task);
  std::size_t size() const { return running_; }

  bool await_ready() const { return running_ == 0; }
  void await_suspend(std::coroutine_handle<> waiting) { waiting_ = waiting; }
  void await_resume() const {}

 private:
  Task<void> count(Task<void> task);

  EventLoop& loop_;
  std::size_t running_ = 0;
  std::coroutine_handle<> waiting_;
};

/// Awaits what a thread works out.
class EventLoop::ThreadResult {
 public:
  ThreadResult(EventLoop& loop, std::function<void()> work) : loop_(loop), work_(std::move(work)) {}
  ThreadResult(const ThreadResult&) = delete;
  ThreadResult& operator=(const ThreadResult&) = delete;

  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> waiting) {
    thread_ = std::thread([this, waiting] {
      work_();
      loop_.post([this, waiting] {
        thread_.join();
        waiting.resume();
      });
    });
  }
  void await_resume() const {}

 private:
  EventLoop& loop_;
  const std::function<void()> work_;
  std::thread thread_;
};

template <typename T>
T EventLoop::wait_for(Task<T> task) {
  std::optional<T> outcome;
  const auto keep = [](Task<T> awaited, std::optional<T>& kept) -> Task<void> {
    kept.emplace(co_await awaited);
  };
  spawn(keep(std::move(task), outcome));
  run();
  return std::move(*outcome);
}

template <typename Function>
auto EventLoop::in_thread(Function function) -> Task<decltype(function())> {
  std::optional<decltype(function())> outcome;
  ThreadResult result(*this, [&] { outcome.emplace(function()); });
  co_await result;
  co_return std::move(*outcome);
}

}  // namespace ferry::sftp
