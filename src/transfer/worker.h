// One thread, one connection: takes work from the queue until none is left.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>

#include "ferry/base/result.h"
#include "ferry/sftp/task.h"
#include "transfer/job.h"
#include "transfer/part_handles.h"
#include "transfer/publish.h"
#include "transfer/run_context.h"
#include "transfer/session.h"
#include "transfer/source_opener.h"
#include "transfer/work_queue.h"

namespace ferry::transfer {

/// Many files are in flight at once: each lane does one piece of work after the other, and while
/// one waits for an answer the others fill the line.
class Worker {
 public:
  Worker(const RunContext& context, WorkQueue& queue, Session& session)
      : context_(context),
        queue_(queue),
        session_(session),
        handles_(*session.client),
        sources_(context.options.limits.stall_timeout, context.stop) {}

  /// Returns when the queue has nothing more for us, or a stop was requested. An error is what
  /// ended the connection; what was in hand is back in the queue then, unless it was lost too
  /// often.
  Result<void> run();

  /// Whether B acknowledged any byte to us.
  bool made_progress() const { return made_progress_; }

 private:
  std::size_t lanes() const;
  sftp::Task<void> lane();
  sftp::Task<void> perform(Work work);

  sftp::Task<Result<void>> send_whole(Job& job);
  sftp::Task<Result<void>> send_chunk(const Work& chunk);
  sftp::Task<Result<void>> write_chunk(const Work& chunk, const Target& target);
  sftp::Task<Result<void>> finish(Job& job);
  Verify depth_for(const Job& job) const;
  sftp::Task<Result<void>> rename(Job& job, const Target& target);

  /// When to try again what failed; nothing where that is of no use.
  std::optional<WorkQueue::Time> retry_time(Job& job, const Error& error);
  std::optional<WorkQueue::Time> retry_time_of(const LandingRoot* landing);
  sftp::Task<void> settle(Work work, Result<void> outcome);
  sftp::Task<void> follow_up(Work work, WorkQueue::After after);
  sftp::Task<void> end(Job& job);

  void acknowledged(std::size_t bytes);

  const RunContext& context_;
  WorkQueue& queue_;
  Session& session_;
  PartHandles handles_;
  SourceOpener sources_;
  std::size_t chunks_in_hand_ = 0;
  /// A landing area's server that does not answer fails all its files at once: that counts as one.
  struct Outage {
    unsigned failures = 0;
    WorkQueue::Time retry_at;
  };
  std::map<const LandingRoot*, Outage> outages_;  // since something of it got through
  std::set<const Job*> charged_;                  // with the loss of this connection
  std::optional<Error> lost_;                     // what made the connection unusable
  bool made_progress_ = false;
};

}  // namespace ferry::transfer
