// From the last file of a batch to its end: names where they are given together, the control file,
// the records.
//
//   begin → (targets → names, or roll back) → failures recorded → control file pushed →
//   deliveries recorded → journal removed
//
// Every step is noted in the batch's journal before the next begins, and may be done again: by us,
// or after our death by another agent.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "ferry/base/outcome.h"
#include "ferry/metastore/metastore.h"
#include "transfer/batch/batch.h"
#include "transfer/batch/kept_control_file.h"
#include "transfer/deliver/work_queue.h"
#include "transfer/run/run_context.h"

namespace ferry::transfer {

/// Belongs to one thread, but for what tasks tell of.
class BatchClosing {
 public:
  using Clock = std::chrono::steady_clock;

  /// WAKE is called, on any thread, when advance may get on.
  BatchClosing(metastore::Metastore& metastore, const BatchContext& context, Observer& observer,
               std::function<void()> wake);
  BatchClosing(const BatchClosing&) = delete;
  BatchClosing& operator=(const BatchClosing&) = delete;

  /// Where tasks go from now on; what waits for one of an earlier queue, which is over, asks anew.
  void use(WorkQueue& queue);

  enum class Origin : std::uint8_t { kOurs, kDeadAgents };
  /// A batch of which no file is on its way any more.
  void add(std::unique_ptr<Batch> batch, Origin origin);

  /// Goes on with what can go on now.
  void advance();

  bool is_empty() const { return closing_.empty(); }
  /// Whether a connection is needed to get on.
  bool needs_connection() const;
  /// When to advance, whatever happens; nothing: when woken.
  std::optional<Clock::time_point> next_try() const;

  /// Gives up what is left, because of REASON: it stays in its journal, for the next run.
  void give_up(const Error& reason);

  /// Those that were brought to their end since the last call.
  std::vector<BatchSummary> take_completed() { return std::exchange(completed_, {}); }
  /// Why what happened could not be recorded here, if it could not.
  const std::optional<Failure>& record_failure() const { return record_failure_; }
  /// Why the destination could not be reached any more, if batches were given up because of that.
  const std::optional<Error>& lost() const { return lost_; }
  struct Left {
    std::uint64_t unlisted = 0;  // delivered, and listed nowhere
    std::uint64_t failed = 0;    // of ours, in the same batches
  };
  /// Of all batches that could not be brought to their end.
  Left left() const;
  /// How often a batch could not be brought to its end.
  std::uint64_t failures() const { return failures_; }

 private:
  enum class Step : std::uint8_t {
    kBegin,
    kLooking,  // at what a dead agent left
    kTargets,  // looking at what has the names
    kNaming,
    kRollingBack,
    kFailures,  // and what was skipped: are being recorded
    kControl,   // is being written
    kPushing,
    kPushed,
    kSuccesses,
    kTidying,
    kDone,
  };
  struct Closing {
    std::unique_ptr<Batch> batch;
    Origin origin = Origin::kOurs;
    Step step = Step::kBegin;
    std::optional<KeptControlFile> kept;
    std::function<sftp::Task<Result<void>>(Session&)> task;  // under way
    std::optional<Result<void>> outcome;                     // of the task
    unsigned tries = 0;                                      // of a step without a task
    std::uint64_t recorded = 0;                              // rows of this step, so far
    std::vector<std::string> large;                          // recorded files with journals
    Clock::time_point first_try;
    Clock::time_point next_try;
  };

  /// True if another step can follow at once.
  bool advance(Closing& closing);
  bool after_task(Closing& closing, const Result<void>& outcome);
  bool begin(Closing& closing);
  void start(Closing& closing, Step step, std::function<sftp::Task<Result<void>>(Session&)> task);
  void submit(Closing& closing);
  /// Does WORK, which needs no connection, and goes on to NEXT; what may pass is tried again.
  bool go_on(Closing& closing, Step next, const std::function<Result<void>()>& work);
  Result<void> record(Closing& closing, bool deliveries);
  Result<void> note_failures(Batch& batch);
  struct Ended {
    BatchFile file;
    BatchEnd end;
  };
  static bool is_untold(const Closing& closing, const BatchEnd& end);
  Result<void> tell_of(std::vector<Ended>& files);
  Result<void> write_control_file(Closing& closing);
  bool push(Closing& closing);
  Result<void> complete(Closing& closing);
  void fail(Closing& closing, const Error& error);

  metastore::Metastore& metastore_;
  const BatchContext& context_;
  Observer& observer_;
  const std::function<void()> wake_;
  WorkQueue* queue_ = nullptr;
  mutable std::mutex mutex_;  // guards Closing::outcome
  std::list<Closing> closing_;
  std::vector<BatchSummary> completed_;
  std::optional<Failure> record_failure_;
  std::map<std::string, Left, std::less<>> left_;  // by batch id
  std::uint64_t failures_ = 0;
  std::optional<Error> lost_;
};

}  // namespace ferry::transfer
