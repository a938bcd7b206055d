// One thread, one connection: takes jobs from the queue until none is left.
#pragma once

#include <cstddef>

#include "ferry/base/result.h"
#include "ferry/sftp/task.h"
#include "ferry/transfer/agent.h"
#include "transfer/job.h"
#include "transfer/landing_roots.h"
#include "transfer/session.h"

namespace ferry::transfer {

/// Many files are in flight at once: each lane delivers one file after the other, and while one
/// waits for an answer the others fill the line.
class Worker {
 public:
  Worker(Session& session, JobQueue& queue, const LandingRoots& roots,
         const TransferOptions& options, Observer& observer, const StopToken& stop)
      : session_(session),
        queue_(queue),
        roots_(roots),
        options_(options),
        observer_(observer),
        stop_(stop) {}

  /// Returns when the queue is empty or a stop was requested. An error is what ended the
  /// connection; the jobs that it caught have it as their outcome, the others have none.
  Result<void> run();

 private:
  std::size_t lanes() const;
  sftp::Task<void> lane();
  sftp::Task<void> deliver(Job& job);
  sftp::Task<Result<void>> send(Job& job);

  Session& session_;
  JobQueue& queue_;
  const LandingRoots& roots_;
  const TransferOptions& options_;
  Observer& observer_;
  const StopToken& stop_;
  bool connection_lost_ = false;
};

}  // namespace ferry::transfer
