// The embedded metastore: two JSON-lines tables in a directory, folded into memory.
#pragma once

#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "ferry/base/lock.h"
#include "ferry/metastore/metastore.h"
#include "metastore/agents.h"
#include "metastore/damage_log.h"
#include "metastore/jsonl_table.h"
#include "metastore/layout.h"
#include "metastore/view.h"

namespace ferry::metastore {

class JsonlMetastore : public Metastore {
 public:
  enum class Access : std::uint8_t { kRead, kWrite };
  JsonlMetastore(Layout layout, Options options, Access access);

  /// Reads the tables; for writers also turns the directory into a metastore where it is none yet
  /// and mends what a crash left.
  Result<void> open();

  Result<std::vector<Registration>> register_files(std::vector<FileRecord> found) override;
  bool is_registered(std::string_view landing, std::string_view path,
                     const FileIdentity& identity) override;
  bool is_accepted(std::string_view landing, std::string_view path,
                   const Checksum& checksum) override;
  Result<std::size_t> mark_missing(std::string_view landing, std::span<const std::string> paths,
                                   std::string_view reason) override;
  Result<std::size_t> change_states(std::span<const StateChange> changes) override;
  Result<std::size_t> import_files(std::vector<FileRecord> rows) override;
  Result<std::unique_ptr<AgentPresence>> join() override;
  Result<std::vector<Claim>> claim(const ClaimRequest& request) override;
  Result<std::vector<Release>> release(std::span<const std::string> ids,
                                       std::string_view destination) override;
  Result<std::vector<Release>> resend(std::span<const std::string> ids,
                                      std::string_view destination) override;
  Result<void> append_transfers(std::span<const TransferRecord> rows) override;
  Result<void> visit(const FileVisitor& visitor) override;
  Result<History> history(std::string_view id) override;
  Result<std::vector<FileRecord>> archived_files(std::string_view id_or_path) override;
  Result<Compaction> compact(Timestamp since) override;
  std::string revision() override;
  Result<bool> is_pending() override;
  std::vector<Damage> damages() override;

 private:
  /// The rows of one transaction, on their way into the tables.
  struct Group {
    std::string lines;
    std::uint64_t count = 0;
  };

  /// Runs WORK(), which returns a Result, under the lock, on what the tables have now, and writes
  /// what it entered.
  template <typename Work>
  auto transact(Work work) -> decltype(work());
  template <typename Work>
  auto transact_guarded(Work work) -> decltype(work());  // the caller has locked mutex_
  Result<void> read_ahead();
  Result<void> prepare();
  void enter(const FileRecord& row);
  void enter(const TransferRecord& row);
  Result<void> commit();
  Result<void> write_groups();
  void start_anew();

  bool is_worth_compacting(Timestamp since);
  void compact_where_worthwhile();

  Result<void> refresh();
  Result<void> read_tables();
  Result<void> set_marker(bool wanted);
  bool is_claimed(View::Index index, Liveness& liveness);
  void copy_deliveries(View::Index index, Liveness& liveness, std::vector<Delivery>& deliveries);
  /// Gives back the attempts of those deliveries that have STANDING.
  Result<std::vector<Release>> give_back(std::span<const std::string> ids,
                                         std::string_view destination, Standing standing);
  void claim_one(const ClaimRequest& request, const std::string& id, Liveness& liveness,
                 std::vector<Claim>& claims);

  const Layout layout_;
  const Options options_;
  const Access access_;

  std::mutex mutex_;  // guards all below
  JsonlTable registry_;
  JsonlTable transfers_;
  View view_;
  std::uint64_t beginnings_ = 0;  // how often view_ was read anew: then its indices are others
  DamageLog damage_;
  Group registry_group_;
  Group transfer_group_;
};

template <typename Work>
auto JsonlMetastore::transact(Work work) -> decltype(work()) {
  const std::scoped_lock guard(mutex_);
  return transact_guarded(std::move(work));
}

template <typename Work>
auto JsonlMetastore::transact_guarded(Work work) -> decltype(work()) {
  if (access_ == Access::kRead) {
    return make_error(ErrorKind::kDenied, "metastore {}: opened for reading only",
                      layout_.directory.string());
  }
  if (auto read = read_ahead(); !read) return read.error();
  const auto lock = FileLock::acquire(layout_.lock(), options_.lock_timeout);
  if (!lock) return lock.error().with_context("metastore");
  if (auto prepared = prepare(); !prepared) return prepared.error();
  auto outcome = work();
  if (!outcome) {
    start_anew();
    return outcome;
  }
  if (auto committed = commit(); !committed) {
    start_anew();
    return committed.error();
  }
  return outcome;
}

}  // namespace ferry::metastore
