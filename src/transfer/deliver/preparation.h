// What has to be done with a file before it can be sent, and takes its time: reading all of it to
// see that it is the registered one, a route's checks by a command, transforms.
//
// One thread takes job after job while the workers send what is ready: while one file is sent, the
// next is transformed, into the spool. When that is full it waits for files to be sent.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "ferry/metastore/records.h"
#include "transfer/deliver/job.h"
#include "transfer/run/run_context.h"
#include "transfer/source/source_opener.h"
#include "transfer/source/spool.h"

namespace ferry::transfer {

/// What is to be done with a job.
struct ToPrepare {
  Job* job = nullptr;
  metastore::FileRecord file;
  const Route* route = nullptr;
  bool needs_check = false;       // of the content, against the record
  bool needs_acceptance = false;  // by the route
};

class Preparation {
 public:
  /// Called on the thread, or on that of add. A job without an error is ready to be sent.
  using Done = std::function<void(Job& job)>;

  /// SPOOL: null if no route transforms. All outlive this object.
  Preparation(Spool* spool, const RunContext& context, const LandingRoots& roots, Done done);
  Preparation(const Preparation&) = delete;
  Preparation& operator=(const Preparation&) = delete;
  ~Preparation() { stop(); }

  void add(ToPrepare what);
  /// Ends the thread; jobs that it has not come to are left as they are.
  void stop();

  /// The job's content was sent, or will not be: room for others. Thread-safe.
  void release(const Job& job);

 private:
  using Clock = std::chrono::steady_clock;

  struct Waiting {
    ToPrepare what;
    Clock::time_point not_before;
    unsigned tries = 0;
  };

  void work();
  std::optional<Waiting> next();
  void settle(Waiting waiting, Result<void> outcome);
  Result<void> prepare(const ToPrepare& what);
  Result<void> transform(Job& job);
  Result<SpoolEntry> make(const Job& job);
  Result<void> copy(const Job& job, SpoolWriter& writer);
  Result<void> wait_for_room(std::size_t bytes);

  Spool* spool_;
  const RunContext& context_;
  const LandingRoots& roots_;
  const Done done_;
  StopToken abort_;
  sftp::EventLoop loop_;  // of the thread
  SourceOpener sources_;  // on it

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Waiting> waiting_;
  bool stopping_ = false;
  std::jthread thread_;
};

}  // namespace ferry::transfer
