// The metastore in a PostgreSQL database.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "ferry/metastore/metastore.h"
#include "metastore/postgres/changes.h"
#include "metastore/postgres/database.h"
#include "metastore/postgres/file_search.h"

namespace ferry::metastore::postgres {

class PostgresMetastore : public Metastore, private Upkeep {
 public:
  enum class Access : std::uint8_t { kRead, kWrite };
  PostgresMetastore(const std::string& location, Options options, Access access);

  /// For writers: makes the tables in a database that has none.
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
  Result<Compaction> compact(Timestamp since) override;
  Result<std::uint64_t> damaged_rows() override { return 0; }
  Result<std::vector<Damage>> damages(std::size_t) override { return std::vector<Damage>(); }
  Result<Orphans> orphans() override;
  Result<std::vector<std::string>> verify() override;
  Result<void> visit_file_rows(const FileRowVisitor& visitor) override;
  Result<void> visit_transfer_rows(const TransferRowVisitor& visitor) override;
  Result<void> append_file_rows(std::span<const FileRecord> rows) override;
  Result<void> append_transfer_rows(std::span<const TransferRecord> rows) override;

  using View = std::shared_ptr<const Viewpoint>;
  View view();
  View view_of(const std::string& destination);
  /// Everything that ROWS change is judged from, once, by who has it in hand.
  std::vector<View> views_of(std::span<const TransferRecord> rows);

  /// Runs WORK(snapshot, changes), which returns a Result, in a transaction, and writes what it
  /// entered. VIEWPOINTS judge what changes. WORK may be run more than once.
  template <typename Work>
  auto change(std::vector<View> viewpoints, Work work)
      -> std::invoke_result_t<Work, Snapshot&, Changes&>;
  /// Runs QUESTION(snapshot, route), which returns a Result, on what the route has; if it can,
  /// it is brought up to date first.
  template <typename Question>
  auto ask(const View& viewpoint, bool needs_standings, Question question)
      -> std::invoke_result_t<Question, Snapshot&, const RouteState&>;
  Result<void> bring_up_to_date(const Viewpoint& viewpoint);
  Result<std::vector<Release>> give_back(std::span<const std::string> ids,
                                         std::string_view destination, Standing standing);
  Result<std::vector<Claim>> claim_found(const ClaimRequest& request, const View& viewpoint,
                                         bool& is_behind);
  Result<void> tidy_sums();
  void tidy_sums_at_times();
  Error read_only() const;

  Database database_;
  const Options options_;
  const Access access_;
  std::mutex mutex_;
  View viewpoint_;         // under mutex_
  bool may_write_ = true;  // under mutex_: to what is derived
  std::atomic<unsigned> changes_ = 0;
};

template <typename Work>
auto PostgresMetastore::change(std::vector<View> viewpoints, Work work)
    -> std::invoke_result_t<Work, Snapshot&, Changes&> {
  using Answer = std::invoke_result_t<Work, Snapshot&, Changes&>;
  if (access_ == Access::kRead) return read_only();
  Answer done = database_.write([&](Connection& connection) -> Answer {
    Snapshot snapshot(connection, *viewpoints.front());
    std::vector<const Viewpoint*> views;
    views.reserve(viewpoints.size());
    for (const View& one : viewpoints) views.push_back(one.get());
    Changes changes(snapshot, std::move(views));
    if (auto begun = changes.begin(); !begun) return begun.error();
    Answer answer = work(snapshot, changes);
    if (!answer) return answer;
    if (auto written = changes.write(); !written) return written.error();
    return answer;
  });
  if (done) tidy_sums_at_times();
  return done;
}

template <typename Question>
auto PostgresMetastore::ask(const View& viewpoint, bool needs_standings, Question question)
    -> std::invoke_result_t<Question, Snapshot&, const RouteState&> {
  using Answer = std::invoke_result_t<Question, Snapshot&, const RouteState&>;
  for (bool is_first = true;; is_first = false) {
    bool is_behind = false;
    Answer answer = database_.read([&](Connection& connection) -> Answer {
      Snapshot snapshot(connection, *viewpoint);
      RouteState state;
      if (needs_standings) {
        auto found = find_route(connection, *viewpoint);
        if (!found) return found.error();
        state = std::move(*found);
        is_behind = is_first && !state.is_current() && !viewpoint->is_private;
        if (is_behind) return make_error(ErrorKind::kBusy, "not up to date");
      }
      return question(snapshot, state);
    });
    if (!is_behind) return answer;
    if (auto done = bring_up_to_date(*viewpoint); !done) return done.error();
  }
}

}  // namespace ferry::metastore::postgres
