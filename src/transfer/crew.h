// The workers of a run: as many connections as the work is worth, replaced when they end.
#pragma once

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

/// Pure: whether one more than CONNECTIONS would pay for itself, ELAPSED after the first began.
bool is_worth_dialling(const WorkQueue::Progress& progress, std::chrono::milliseconds elapsed,
                       unsigned connections);

class Crew {
 public:
  Crew(const RunContext& context, WorkQueue& queue) : context_(context), queue_(queue) {}

  /// Works off the queue, beginning with SESSION, on which the caller waits no more; SECOND is one
  /// that is being dialled already, where that is so. Returns a session that still works, if there
  /// is one; what is left in the queue then failed with give_up_reason(), or was left because of a
  /// stop.
  std::optional<Session> run(Session session, std::future<Result<Session>> second);

  const std::optional<Error>& give_up_reason() const { return give_up_reason_; }

 private:
  void start(Session session);
  void work(Session session);
  Result<Session> reconnect(unsigned& failures, Error reason);
  Result<Session> dial() const;
  void dial_while_worthwhile(std::future<Result<Session>> second);
  bool wait_for_end(std::chrono::milliseconds at_most);

  const RunContext& context_;
  WorkQueue& queue_;
  KnownDirectories known_;
  std::vector<std::jthread> threads_;

  std::mutex mutex_;
  std::condition_variable ended_;
  unsigned working_ = 0;
  std::optional<Session> idle_session_;
  std::optional<Error> give_up_reason_;
};

}  // namespace ferry::transfer
