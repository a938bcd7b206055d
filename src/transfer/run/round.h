// From what is pending to what is delivered: claims files as the connections work them off, keeps
// the batches that they belong to, and brings these to their end.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "ferry/base/result.h"
#include "transfer/batch/batch.h"
#include "transfer/deliver/crew.h"
#include "transfer/deliver/preparation.h"
#include "transfer/deliver/work_queue.h"
#include "transfer/run/agent_core.h"
#include "transfer/run/intake.h"
#include "transfer/run/run_context.h"

namespace ferry::transfer {

/// Belongs to the agent's thread, but for what workers tell it.
class Round final : public DeliveryEvents {
 public:
  /// ON_COMPLETED is told of each batch that was brought to its end.
  Round(AgentCore& core, std::function<void(const BatchSummary&)> on_completed);
  Round(const Round&) = delete;
  Round& operator=(const Round&) = delete;

  /// Until nothing is left to claim and nothing is on its way, or there was a stop. Needs a session
  /// and a presence. What was delivered by then is listed and recorded as far as that can be done;
  /// once claims are lost nothing more is done.
  void deliver();

  /// Batches that wait to be brought to their end, over CONNECTIONS that end with that token.
  static Result<void> bring_to_end(AgentCore& core, StopToken& connections,
                                   const std::function<void(const BatchSummary&)>& on_completed);

  Result<void> on_part(Job& job) override;
  bool reserve_name(const Job& job, const std::string& remote_path) override;
  Result<void> on_name(Job& job, std::string remote_path) override;
  Noted noted(const Job& job) override;
  void on_abandoned(const Job& job) override;
  void on_bytes(std::size_t acknowledged) override;
  void on_uploaded(Job& job) override;
  void on_ended(Job& job) override;

 private:
  using Clock = std::chrono::steady_clock;

  void foresee();
  bool is_over() const;
  bool is_ending() const;
  bool may_claim() const;
  bool is_unsure() const;
  bool has_jobs() const;
  void heed_stop();
  void wait_for_news();
  std::optional<Clock::time_point> next_deadline() const;

  Outcome<void> claim_some();
  Outcome<void> open_batch();
  Feed::Room room_in_batch() const;
  Job* take(const metastore::Claim& claim);
  void hand_on(Job& job);
  void close_batches_that_are_due();
  bool is_complete(const Batch& batch) const;
  void carry_over_what_is_late();
  void carry_over(Batch& old, Batch& next);
  void retire(std::unique_ptr<Batch> batch);
  void finish(Job& job, void (*note)(Batch& batch, Job& job));
  void end_what_is_left(const std::optional<Error>& reason);
  void end_jobs(const std::optional<Error>& reason);

  AgentCore& core_;
  const std::function<void(const BatchSummary&)> on_completed_;
  const RunContext context_;
  WorkQueue queue_;
  Preparation preparation_;
  Intake intake_;

  std::unique_ptr<Batch> batch_;  // takes files
  bool is_batch_full_ = false;
  std::vector<std::unique_ptr<Batch>> emptying_;  // take no more, and have files on their way
  std::uint64_t claimed_files_ = 0;
  std::uint64_t claimed_bytes_ = 0;
  std::uint64_t expected_files_ = 0;
  std::uint64_t expected_bytes_ = 0;
  std::optional<Clock::time_point> stop_deadline_;
  std::atomic<bool> wants_more_{false};

  mutable std::mutex jobs_mutex_;
  std::unordered_map<const Job*, std::unique_ptr<Job>> jobs_;
};

}  // namespace ferry::transfer
