// Enters results into the metastore, in groups: one write and one sync for many files; then moves
// aside what is abnormal. The only thread of the watcher that writes.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "ferry/base/stop.h"
#include "ferry/landing/quarantine.h"
#include "ferry/metastore/metastore.h"
#include "landing/register/blocking_queue.h"
#include "landing/watch/complaints.h"
#include "landing/watch/mailbox.h"
#include "landing/watch/pulse.h"
#include "landing/watch/root.h"

namespace ferry::landing {

/// Registered files below DIRECTORIES must be checked for being there.
struct SweepRequest {
  std::size_t area = 0;
  std::shared_ptr<const Root> root;
  std::vector<std::string> directories;
};

class Registrar {
 public:
  /// With RETRY a metastore that is busy or full is tried again until
  /// it works or finish is called; any other failure is posted as an error, and so is the first
  /// one without RETRY. After STOP, with RETRY, nothing more is moved aside: a rescan to come finds
  /// it.
  Registrar(metastore::Metastore& metastore, std::vector<LandingArea> areas, bool retry,
            const StopToken& stop, Mailbox& mailbox, Pulse& pulse);
  ~Registrar() { finish(); }

  /// FINISHED has the outcome kHashed, kRefused, kUnread, kAbnormal or kGone. It goes on to the
  /// mailbox when it is recorded.
  void record(Finished finished) { jobs_.push(std::move(finished)); }
  void sweep(SweepRequest request) { jobs_.push(std::move(request)); }

  /// Records what it was given so far, then ends. Does nothing the second time.
  void finish();

  std::uint64_t inserted() const { return inserted_.load(); }
  std::uint64_t bytes() const { return bytes_.load(); }
  std::uint64_t quarantined() const { return quarantined_.load(); }

 private:
  using Job = std::variant<Finished, SweepRequest>;

  std::vector<Job> next_jobs();
  void run();
  void record_group(std::vector<Finished> group);
  Result<void> register_hashed(std::vector<Finished>& group);
  Result<void> mark_gone(const std::vector<Finished>& group);
  Result<void> mark_missing(const std::string& landing, const std::vector<std::string>& paths,
                            std::string_view reason);
  void move_aside(const Finished& finished);
  void held_in_place(const Finished& finished);
  void hold(const LandingArea& area, const HeldFile& file, const FileIdentity& identity);
  Result<void> finish_moves(const SweepRequest& request);
  void sweep_now(const SweepRequest& request);
  /// Repeats WORK while that may help. False if it failed for good.
  bool persist(std::string_view purpose, const std::function<Result<void>()>& work);
  bool pause(std::chrono::milliseconds time);

  metastore::Metastore& metastore_;
  std::vector<LandingArea> areas_;
  bool retry_;
  const StopToken& stop_;
  Mailbox& mailbox_;
  Pulse& pulse_;
  BlockingQueue<Job> jobs_;
  std::atomic<std::uint64_t> inserted_{0};
  std::atomic<std::uint64_t> bytes_{0};
  std::atomic<std::uint64_t> quarantined_{0};
  bool failed_ = false;    // for good
  Complaints complaints_;  // of what could not be moved

  std::mutex mutex_;
  std::condition_variable finishing_changed_;
  bool finishing_ = false;
  std::thread thread_;
};

}  // namespace ferry::landing
