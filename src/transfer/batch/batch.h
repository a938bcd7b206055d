// The files that an agent delivers together: what became of each, on disk as it happens.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

#include "ferry/base/result.h"
#include "ferry/metastore/metastore.h"
#include "ferry/transfer/agent.h"
#include "transfer/batch/batch_journal.h"
#include "transfer/deliver/job.h"
#include "transfer/deliver/publish.h"

namespace ferry::transfer {

/// Knows no more of its files than it has to: memory does not grow with them, but for a few bytes
/// each. All members are thread-safe.
class Batch {
 public:
  /// Begins its journal in DIRECTORY.
  static Result<std::unique_ptr<Batch>> open(const fs::path& directory, BatchInfo info);
  /// One whose agent has died.
  explicit Batch(std::unique_ptr<BatchJournal> journal) : journal_(std::move(journal)) {}

  const BatchInfo& info() const { return journal_->info(); }
  BatchJournal& journal() { return *journal_; }
  std::shared_ptr<BatchJournal> shared_journal() const { return journal_; }
  std::chrono::steady_clock::time_point opened() const { return opened_; }
  /// When what was delivered is to be listed, whatever is still on its way.
  std::chrono::steady_clock::time_point due() const { return due_; }
  void set_due(std::chrono::steady_clock::time_point due) { due_ = due; }

  /// How many connections had been lost when B was last known to have what was delivered to it.
  unsigned losses_seen() const { return losses_seen_; }
  void set_losses_seen(unsigned losses) { losses_seen_ = losses; }

  struct Counts {
    std::uint64_t selected = 0;
    std::uint64_t delivered = 0;
    std::uint64_t failed = 0;
    std::uint64_t skipped = 0;
    std::uint64_t uploaded = 0;  // and waiting for their names
    std::uint64_t bytes = 0;     // of what was delivered
    std::uint64_t claimed_bytes = 0;

    /// On their way, or not yet.
    std::uint64_t open() const { return selected - delivered - failed - skipped - uploaded; }
    /// Has ended, in whatever way.
    std::uint64_t ended() const { return delivered + failed + skipped; }
  };
  Counts counts() const;

  /// Whose claims its files are. Before anybody works on it.
  void set_presence(std::shared_ptr<const metastore::AgentPresence> presence) {
    presence_ = std::move(presence);
  }
  const metastore::AgentPresence* presence() const { return presence_.get(); }

  /// One more file, of SIZE bytes.
  void add(std::uint64_t size);
  /// False if another of its files has this name at the destination.
  bool take_name(const std::string& remote_path);

  /// JOB is about to write to its part: that has to be known before B hears of it.
  Result<void> note_part(Job& job);
  /// JOB, whose part may be there, is to get REMOTE_PATH for its name.
  Result<void> note_name(Job& job, std::string remote_path);
  /// Never fails: what cannot be written now is kept for write_notes.
  void note_end(Job& job);
  void note_uploaded(Job& job);
  /// JOB was not ended, and is left for the next run.
  void drop(const Job& job);
  /// JOB goes on in NEXT. What it had begun is not ours any more.
  Result<void> hand_over(Job& job, Batch& next);
  Result<void> write_notes();

  /// Reads the counts from the journal.
  Result<void> recount();

  /// No more files are added.
  void close();
  bool is_closed() const;

  /// Part files that may come into being again after they were removed, because a connection that
  /// has ended still had requests at the server.
  void abandon_part(const std::string& path);
  std::set<std::string> take_abandoned_parts();
  bool has_abandoned_parts() const;

  /// A source that is not to be delivered as it is.
  struct Abnormal {
    std::string id;
    std::string reason;
    std::optional<FileIdentity> identity;  // of what was to be delivered
  };
  std::vector<Abnormal> take_abnormal();

 private:
  void note_later(std::function<Result<void>()> note);

  const std::shared_ptr<BatchJournal> journal_;
  std::shared_ptr<const metastore::AgentPresence> presence_;
  const std::chrono::steady_clock::time_point opened_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point due_;  // the agent's alone to use
  std::atomic<unsigned> losses_seen_ = 0;
  mutable std::mutex mutex_;
  Counts counts_;
  bool is_closed_ = false;
  std::unordered_set<std::uint64_t> names_;  // hashed
  std::set<std::string> abandoned_;
  std::vector<Abnormal> abnormal_;
  std::deque<std::function<Result<void>()>> unwritten_;
};

/// How a job's file is told of in a journal.
BatchFile file_of(const Job& job);
BatchEnd end_of(const Job& job);

FileOutcome outcome_of(const Job& job);

/// The part file and the final name of a job.
Target target_of(const Job& job);

/// Under what a job's journal of acknowledged ranges is valid.
JournalKey journal_key_of(const Job& job, const std::string& destination);

}  // namespace ferry::transfer
