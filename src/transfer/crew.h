// The workers of a run: as many connections as the work is worth, replaced when they end.
#pragma once

#include <chrono>
#include <condition_variable>
#include <future>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "ferry/base/result.h"
#include "transfer/run_context.h"
#include "transfer/session.h"
#include "transfer/work_queue.h"

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

/// Connections that are being made while there is other work to do.
using DialledAhead = std::vector<std::future<Result<Session>>>;

class Crew {
 public:
  Crew(const RunContext& context, WorkQueue& queue) : context_(context), queue_(queue) {}

  /// Works off the queue, beginning with SESSION, on which the caller waits no more. Returns a
  /// session that still works, if there is one; what is left in the queue then failed with
  /// give_up_reason(), or was left because of a stop.
  std::optional<Session> run(Session session, DialledAhead ahead);

  const std::optional<Error>& give_up_reason() const { return give_up_reason_; }

 private:
  using Clock = std::chrono::steady_clock;

  void supervise(DialledAhead ahead);
  bool wants_another();
  void start(std::future<Result<Session>> dialled);
  std::optional<Session> arrival(Result<Session> dialled);
  void work(Session session);
  Result<void> work_off(Session& session);
  Result<Session> reconnect(unsigned& failures, Error reason);
  Result<Session> dial() const;

  const RunContext& context_;
  WorkQueue& queue_;
  KnownDirectories known_;
  std::chrono::nanoseconds round_trip_{};
  std::vector<std::jthread> threads_;

  std::mutex mutex_;
  std::condition_variable changed_;
  Ramp ramp_;
  Clock::time_point measured_from_ = Clock::now();
  std::uint64_t done_before_ = 0;
  unsigned working_ = 0;
  std::optional<Session> idle_session_;
  std::optional<Error> give_up_reason_;
};

}  // namespace ferry::transfer
