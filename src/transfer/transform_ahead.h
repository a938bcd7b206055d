// Makes the content of jobs that a route transforms, ahead of the workers that send it.
//
// One thread takes job after job, runs its transforms into the spool, and gives it to the queue:
// while one file is sent, the next is transformed. When the spool is full it waits for files to
// be sent.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "transfer/job.h"
#include "transfer/run_context.h"
#include "transfer/source_opener.h"
#include "transfer/spool.h"
#include "transfer/work_queue.h"

namespace ferry::transfer {

class TransformAhead {
 public:
  /// All outlive this object.
  TransformAhead(const Spool& spool, const RunContext& context, WorkQueue& queue)
      : spool_(spool),
        context_(context),
        queue_(queue),
        sources_(context.options.limits.stall_timeout, abort_) {}
  ~TransformAhead() { stop(); }

  /// Before start: the job's content has to be made.
  void add(Job& job);
  /// Before start: it is in the spool already, and must stay there until it was sent.
  void hold(const Job& job);

  void start();
  /// Ends the thread; jobs that it has not made yet stay open.
  void stop();

  /// The job's content was sent, or will not be: room for others. Thread-safe.
  void on_content_done(const Job& job);

 private:
  using Clock = std::chrono::steady_clock;

  struct Waiting {
    Job* job = nullptr;
    Clock::time_point not_before;
    unsigned tries = 0;
  };

  void work();
  std::optional<Waiting> next();
  void settle(Waiting waiting, const Result<SpoolEntry>& made);
  Result<SpoolEntry> make(const Job& job);
  Result<void> wait_for_room(std::size_t bytes);
  bool is_held(const std::string& entry);

  const Spool& spool_;
  const RunContext& context_;
  WorkQueue& queue_;
  StopToken abort_;
  SourceOpener sources_;          // of the thread
  std::uint64_t used_bytes_ = 0;  // of the spool, as far as the thread knows

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Waiting> waiting_;
  std::map<std::string, unsigned> held_;  // how many jobs need an entry
  bool stopping_ = false;
  std::jthread thread_;
};

}  // namespace ferry::transfer
