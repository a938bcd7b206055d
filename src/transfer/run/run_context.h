// What all parts of one agent share. All of it outlives them.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>

#include "ferry/base/result.h"
#include "ferry/base/stop.h"
#include "ferry/metastore/metastore.h"
#include "ferry/transfer/agent.h"
#include "transfer/batch/batch_journal.h"

namespace ferry::transfer {

struct Job;
class ManyHandles;

/// What workers tell of. Called on any thread.
class DeliveryEvents {
 public:
  virtual ~DeliveryEvents() = default;

  /// JOB is about to write to its part, which nobody has heard of yet.
  virtual Result<void> on_part(Job& job) = 0;
  /// False if another file of JOB's batch has this name at the destination, or is to get it.
  virtual bool reserve_name(const Job& job, const std::string& remote_path) = 0;
  /// JOB, whose part may be there, is about to get another name than it was to get.
  virtual Result<void> on_name(Job& job, std::string remote_path) = 0;
  /// Where that was noted. It has to be synced up to END before B hears of the part.
  struct Noted {
    std::shared_ptr<BatchJournal> journal;
    BatchJournal::Place end = 0;
  };
  virtual Noted noted(const Job& job) = 0;
  /// A connection has ended that may still write to JOB's part.
  virtual void on_abandoned(const Job& job) = 0;
  virtual void on_bytes(std::size_t acknowledged) = 0;
  /// JOB's part is whole and waits for its name; the job is gone when this returns.
  virtual void on_uploaded(Job& job) = 0;
  /// JOB was delivered, or has failed; it is gone when this returns.
  virtual void on_ended(Job& job) = 0;
};

struct BatchContext {
  const Destination& destination;
  const TransferOptions& options;
  StopToken& stop;  // nothing more is begun
  /// Of all that were made to the destination so far.
  std::shared_ptr<std::atomic<unsigned>> lost_connections =
      std::make_shared<std::atomic<unsigned>>(0);
};

struct RunContext : BatchContext {
  DeliveryEvents& events;
  RateLimiter& limiter;
  StopToken& closing;  // connections end, whatever is on the way
  /// Whether what is written to a file through any number of handles, opened at any time, is in it
  /// in the end. Otherwise a file is written through one handle, in order, from its beginning.
  ManyHandles& many_handles;
  /// Whose claims the files are; null in tests that have no metastore.
  const metastore::AgentPresence* presence = nullptr;
  /// The server has refused to set a file's time or mode, which was said.
  std::shared_ptr<std::atomic<bool>> has_refused_attributes =
      std::make_shared<std::atomic<bool>>(false);
};

}  // namespace ferry::transfer
