// The workers of a run: as many connections as the work is worth, replaced when they end.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <future>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "ferry/base/result.h"
#include "transfer/deliver/session.h"
#include "transfer/deliver/work_queue.h"
#include "transfer/run/run_context.h"

namespace ferry::transfer {

/// Pure: whether one more than CONNECTIONS would pay for itself, ELAPSED after the first began,
/// over a line with this ROUND_TRIP.
bool is_worth_dialling(const WorkQueue::Progress& progress, std::chrono::milliseconds elapsed,
                       unsigned connections, std::chrono::nanoseconds round_trip);

/// How connections come up: as with the packets of TCP, what the server has granted allows more.
/// Servers drop bursts of new connections (sshd_config(5), MaxStartups); one after another, each
/// some ten round trips, would leave a long line half empty for seconds.
struct Ramp {
  unsigned granted = 1;
  unsigned dialling = 0;
  bool refused = false;  // the server takes no more of us

  unsigned asked_for() const { return granted + dialling; }
  bool may_dial(unsigned at_most) const {
    return !refused && dialling <= 2 * granted && asked_for() < at_most;
  }
};

/// A worker that neither sleeps nor moves a byte for this long is stuck: in a system call, or in
/// ourselves.
constexpr std::chrono::minutes kLongestIdleTime{5};

class Crew {
 public:
  /// ENDED is called, on another thread, when nobody works any more.
  Crew(const RunContext& context, WorkQueue& queue, std::function<void()> ended)
      : context_(context), queue_(queue), ended_(std::move(ended)) {}
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;
  ~Crew() { wait(); }

  /// Works off the queue, beginning with SESSION, until it is over. Ends the process if a worker is
  /// stuck: its claims are free then.
  void start(Session session);
  bool is_running() const { return is_running_; }
  /// Until nobody works any more.
  void wait();

  /// A session that still works, if there is one. Not while anybody works.
  std::optional<Session> take_session() { return std::exchange(idle_session_, std::nullopt); }
  /// Why no connection could be had any more, if that is what ended it.
  const std::optional<Error>& give_up_reason() const { return give_up_reason_; }

 private:
  using Clock = std::chrono::steady_clock;

  /// A loop that is looked after while it runs.
  class Watched {
   public:
    Watched(Crew& crew, const sftp::EventLoop& loop);
    Watched(const Watched&) = delete;
    Watched& operator=(const Watched&) = delete;
    ~Watched();

   private:
    Crew& crew_;
    const sftp::EventLoop& loop_;
  };

  void supervise();
  void end_if_stuck() const;
  bool wants_another();
  void start(std::future<Result<Session>> dialled);
  std::optional<Session> arrival(Result<Session> dialled);
  void work(Session session);
  Result<void> work_off(Session& session);
  struct Shift {
    Result<void> outcome;
    bool made_progress = false;
    bool was_busy = false;
  };
  Shift take_shift(Session& session);
  Result<Session> reconnect(unsigned& failures, Error reason);
  Result<Session> dial() const;

  const RunContext& context_;
  WorkQueue& queue_;
  const std::function<void()> ended_;
  KnownDirectories known_;
  std::chrono::nanoseconds round_trip_{};
  std::vector<std::jthread> threads_;

  std::mutex mutex_;
  std::condition_variable changed_;
  Ramp ramp_;
  Clock::time_point measured_from_ = Clock::now();
  std::uint64_t done_before_ = 0;
  bool is_measuring_ = false;
  unsigned working_ = 0;
  std::set<const sftp::EventLoop*> loops_;
  std::optional<Session> idle_session_;
  std::optional<Error> give_up_reason_;
  bool has_worked_off_all_ = false;
  std::atomic<bool> is_running_{false};
  std::jthread supervisor_;
};

}  // namespace ferry::transfer
