// The embedded metastore: two JSON-lines tables in a directory, and an index of them.
//
//   transact   lock, fold what is new, decide by asking the index, append, commit the index
//   ask        a snapshot of the shared index where it is up to date; else it is brought up to date
//              first; else the answer comes from one of our own
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "ferry/base/lock.h"
#include "ferry/metastore/metastore.h"
#include "metastore/jsonl/index/file_search.h"
#include "metastore/jsonl/index/snapshot.h"
#include "metastore/jsonl/index/working_index.h"
#include "metastore/jsonl/tables/layout.h"
#include "metastore/jsonl/tables/transaction.h"

namespace ferry::metastore {

class JsonlMetastore : public Metastore, private Upkeep {
 public:
  enum class Access : std::uint8_t { kRead, kWrite };
  JsonlMetastore(Directory directory, Options options, Access access);

  /// For writers: turns the directory into a metastore if it is none yet, and mends what a crash
  /// left.
  Result<void> open();

  void set_demand(Demand demand) override;
  Result<std::vector<Registration>> register_files(std::vector<FileRecord> found) override;
  Result<std::vector<std::optional<FileRecord>>> latest(
      std::string_view landing, std::span<const std::string> paths) override;
  Result<std::size_t> mark_missing(std::string_view landing, std::span<const std::string> paths,
                                   std::string_view reason) override;
  Result<std::size_t> change_states(std::span<const StateChange> changes) override;
  Result<std::size_t> import_files(std::vector<FileRecord> rows) override;
  Result<std::unique_ptr<AgentPresence>> join() override;
  Result<std::unique_ptr<AgentPresence>> join_as(const std::string& name) override;
  Result<std::vector<bool>> still_holds(const std::string& agent, const std::string& destination,
                                        std::span<const std::string> ids) override;
  Result<std::vector<Claim>> claim(const ClaimRequest& request) override;
  Result<std::vector<Release>> release(std::span<const std::string> ids,
                                       std::string_view destination) override;
  Result<std::vector<Release>> resend(std::span<const std::string> ids,
                                      std::string_view destination) override;
  Result<void> append_transfers(std::span<const TransferRecord> rows) override;
  Result<std::size_t> append_unless_held(std::span<const TransferRecord> rows) override;
  Result<std::vector<std::optional<FileRecord>>> find(std::span<const std::string> ids) override;
  Result<void> visit(const FileQuery& query, const FileVisitor& visitor) override;
  Result<void> visit_transfers(const TransferQuery& query, const TransferVisitor& visitor) override;
  Result<std::vector<Totals>> totals() override;
  Result<Totals> totals(const std::string& destination) override;
  Result<std::vector<std::string>> logged_destinations() override;
  Result<std::vector<History>> history(std::string_view id_or_path) override;
  Result<bool> is_pending() override;
  Result<std::unique_ptr<ChangeNotice>> watch_changes() override;
  Upkeep& upkeep() override { return *this; }

 private:
  using Milliseconds = std::chrono::milliseconds;

  Result<Compaction> compact(Timestamp since) override;
  Result<std::uint64_t> damaged_rows() override;
  Result<std::vector<Damage>> damages(std::size_t limit) override;
  Result<Orphans> orphans() override;
  Result<std::vector<std::string>> verify() override;
  Result<void> visit_file_rows(const FileRowVisitor& visitor) override;
  Result<void> visit_transfer_rows(const TransferRowVisitor& visitor) override;
  Result<void> append_file_rows(std::span<const FileRecord> rows) override;
  Result<void> append_transfer_rows(std::span<const TransferRecord> rows) override;
  void compact_where_worthwhile();

  /// As whoever knows the destinations sees it; and whether a question asks where files stand.
  struct View {
    std::shared_ptr<const Viewpoint> viewpoint;
    bool has_standings = false;
  };
  std::shared_ptr<const Viewpoint> viewpoint();
  View view_of(const std::string& destination, bool has_standings);

  /// Runs WORK(transaction), which returns a Result, on what the tables have now, and appends what
  /// it entered. WORK may be run more than once.
  template <typename Work>
  auto transact(Work work) -> std::invoke_result_t<Work, Transaction&>;
  /// The caller has locked write_mutex_. Waits for the lock for as long as PATIENCE.
  template <typename Work>
  auto transact_guarded(Milliseconds patience, Work work)
      -> std::invoke_result_t<Work, Transaction&>;
  template <typename Work>
  auto attempt(Milliseconds patience, Work& work, Error& failure)
      -> std::optional<std::invoke_result_t<Work, Transaction&>>;
  template <typename Work>
  auto transact_once(Work& work, std::optional<Error>& failed)
      -> std::optional<std::invoke_result_t<Work, Transaction&>>;
  Result<void> prepare(Transaction& transaction);

  /// Runs QUESTION(snapshot), which returns a Result. It may be run more than once.
  template <typename Question>
  auto ask(const View& view, Question question) -> std::invoke_result_t<Question, Snapshot&>;
  template <typename Question>
  auto ask_own(const View& view, Question question) -> std::invoke_result_t<Question, Snapshot&>;
  template <typename Question>
  auto attempt_own(const View& view, IndexedTables& own, Question& question, Error& failure)
      -> std::optional<std::invoke_result_t<Question, Snapshot&>>;
  /// FAILURE: of the shared index, if it has failed.
  Result<void> bring_up_to_date(const View& view, const std::optional<Error>& failure);

  /// A part of what is missing, unless others are at work: what is left is read through.
  void extend_text_index();

  /// Gives back the attempts of those deliveries that have STANDING.
  Result<std::vector<Release>> give_back(std::span<const std::string> ids,
                                         std::string_view destination, Standing standing);
  Result<void> append_rows(Transaction& transaction, std::span<const TransferRecord> rows);

  const std::shared_ptr<const Directory> directory_;
  const Options options_;
  const Access access_;

  std::mutex viewpoint_mutex_;
  std::shared_ptr<const Viewpoint> viewpoint_;
  std::mutex write_mutex_;
  WorkingIndex index_;  // under write_mutex_
  std::mutex read_mutex_;
  ReadIndex reading_;  // under read_mutex_
};

/// As open_metastore and open_metastore_for_reading, for a directory.
Result<std::unique_ptr<Metastore>> open_jsonl(const std::string& location, Options options);
Result<std::unique_ptr<Metastore>> open_jsonl_for_reading(const std::string& location,
                                                          Options options);

// Transactions.

template <typename Work>
auto JsonlMetastore::transact(Work work) -> std::invoke_result_t<Work, Transaction&> {
  if (access_ == Access::kRead) {
    return make_error(ErrorKind::kDenied, "metastore {}: opened for reading only",
                      directory_->path().string());
  }
  const std::scoped_lock guard(write_mutex_);
  return transact_guarded(options_.lock_timeout, std::move(work));
}

template <typename Work>
auto JsonlMetastore::transact_guarded(Milliseconds patience, Work work)
    -> std::invoke_result_t<Work, Transaction&> {
  const AsOwner owner(*directory_);
  Error failure = make_error(ErrorKind::kBusy, "the index was replaced again and again");
  for (int attempts_left = 6; attempts_left > 0; --attempts_left) {
    // Reading much goes before others have to wait for the lock.
    if (auto ready = index_.make_ready(); !ready) return ready.error();
    auto outcome = attempt(patience, work, failure);
    if (!outcome) continue;
    index_.checkpoint();
    return *std::move(outcome);
  }
  return failure;
}

/// Nothing: the index has failed, and it was not for WORK.
template <typename Work>
auto JsonlMetastore::attempt(Milliseconds patience, Work& work, Error& failure)
    -> std::optional<std::invoke_result_t<Work, Transaction&>> {
  auto fd = directory_->open_lock(kLockFile);
  if (!fd) return fd.error().with_context("metastore");
  const auto lock = FileLock::acquire(std::move(*fd), directory_->shown(kLockFile), patience);
  if (!lock) return lock.error().with_context("metastore");
  if (!index_.is_in_place()) return std::nullopt;
  std::optional<Error> failed;
  auto outcome = transact_once(work, failed);
  // What the transaction worked on may go with it.
  if (failed) index_.failed(failure = *failed);
  return outcome;
}

/// As attempt, on what is at hand. The transaction has ended; FAILED: so has the index.
template <typename Work>
auto JsonlMetastore::transact_once(Work& work, std::optional<Error>& failed)
    -> std::optional<std::invoke_result_t<Work, Transaction&>> {
  Transaction transaction(*directory_, index_.tables(), viewpoint());
  if (auto prepared = prepare(transaction); !prepared) return prepared.error();
  failed = transaction.failure();
  if (failed) return std::nullopt;
  auto outcome = work(transaction);
  failed = transaction.failure();
  if (!failed && !outcome && outcome.error().kind == ErrorKind::kCorrupt) failed = outcome.error();
  if (failed) return std::nullopt;
  if (!outcome) return outcome;
  const auto done = transaction.commit(access_ == Access::kWrite);
  if (!done) return done.error();
  failed = transaction.failure();
  if (!*done) return std::nullopt;
  return outcome;
}

// Questions.

template <typename Question>
auto JsonlMetastore::ask(const View& view, Question question)
    -> std::invoke_result_t<Question, Snapshot&> {
  const AsOwner owner(*directory_);
  for (const bool is_first : {true, false}) {
    std::optional<Error> failure;
    {
      const std::scoped_lock guard(read_mutex_);
      auto began = reading_.begin(*view.viewpoint, view.has_standings);
      if (!began) return began.error();
      if (*began) {
        auto answer = question(reading_.snapshot());
        failure = reading_.end();
        const bool fits = answer || answer.error().kind != ErrorKind::kCorrupt;
        if (!failure && fits) return answer;
        if (!failure) failure = answer.error();
        reading_.close();
      } else {
        failure = reading_.failure();
      }
    }
    if (is_first && !bring_up_to_date(view, failure)) break;
  }
  return ask_own(view, std::move(question));
}

/// Without the lock, on a private index.
template <typename Question>
auto JsonlMetastore::ask_own(const View& view, Question question)
    -> std::invoke_result_t<Question, Snapshot&> {
  const std::scoped_lock guard(write_mutex_);
  Error failure = make_error(ErrorKind::kCorrupt, "the private index fails again and again");
  for (int attempts_left = 3; attempts_left > 0; --attempts_left) {
    auto own = index_.own_tables();
    if (!own) return own.error();
    if (auto answer = attempt_own(view, **own, question, failure)) return *std::move(answer);
    index_.own_failed();
  }
  return failure;
}

/// Nothing: the index has failed.
template <typename Question>
auto JsonlMetastore::attempt_own(const View& view, IndexedTables& own, Question& question,
                                 Error& failure)
    -> std::optional<std::invoke_result_t<Question, Snapshot&>> {
  Transaction transaction(*directory_, own, view.viewpoint);
  if (auto begun = transaction.begin(); !begun) return begun.error();
  std::optional<Error> failed = transaction.failure();
  if (!failed) {
    auto answer = question(view.has_standings ? transaction.judged_snapshot(view.viewpoint)
                                              : transaction.snapshot());
    const auto kept = transaction.commit(false);
    if (!kept) return kept.error();
    failed = transaction.failure();
    if (!failed && !answer && answer.error().kind == ErrorKind::kCorrupt) failed = answer.error();
    if (!failed) return answer;
  }
  failure = *failed;
  return std::nullopt;
}

}  // namespace ferry::metastore
