#include "metastore/jsonl/jsonl_metastore.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <utility>

#include "metastore/jsonl/index/text_index.h"
#include "metastore/jsonl/tables/change_watch.h"
#include "metastore/jsonl/tables/format.h"
#include "metastore/jsonl/tables/staged_files.h"
#include "metastore/query_rules.h"

namespace ferry::metastore {
namespace {

/// A question does not wait longer for somebody who holds the lock; its answer comes from a private
/// index then.
constexpr std::chrono::milliseconds kPatience{1'000};
/// Of what is missing in the index of texts, a search adds so much: about half a second's work.
constexpr int kTextIndexSteps = 4;

bool is_held(std::span<const Delivery> deliveries) {
  return std::ranges::any_of(deliveries, &Delivery::claim_alive);
}

bool may_write_in(const Directory& directory) {
  return ::faccessat(directory.fd(), ".", W_OK | X_OK, AT_EACCESS) == 0;
}

}  // namespace

JsonlMetastore::JsonlMetastore(Directory directory, Options options, Access access)
    : directory_(std::make_shared<const Directory>(std::move(directory))),
      options_(std::move(options)),
      access_(access),
      viewpoint_(std::make_shared<const Viewpoint>(options_.demand)),
      index_(*directory_, options_.on_reading, options_.lock_timeout),
      reading_(*directory_) {}

Result<void> JsonlMetastore::open() {
  if (access_ == Access::kRead) return {};
  auto prepared = transact([this](Transaction&) {
    remove_dead_agents(*directory_);
    return Result<void>();
  });
  if (prepared) compact_where_worthwhile();
  return prepared;
}

void JsonlMetastore::set_demand(Demand demand) {
  auto viewpoint = std::make_shared<const Viewpoint>(std::move(demand));
  const std::scoped_lock guard(viewpoint_mutex_);
  viewpoint_ = std::move(viewpoint);
}

std::shared_ptr<const Viewpoint> JsonlMetastore::viewpoint() {
  const std::scoped_lock guard(viewpoint_mutex_);
  return viewpoint_;
}

JsonlMetastore::View JsonlMetastore::view_of(const std::string& destination, bool has_standings) {
  return {viewpoint_for(viewpoint(), destination), has_standings};
}

/// Under the lock.
Result<void> JsonlMetastore::prepare(Transaction& transaction) {
  const auto format = read_format(*directory_);
  if (!format) return format.error();
  if (access_ == Access::kWrite) {
    if (*format != Format::kOurs) {
      if (auto written = write_format(*directory_); !written) return written;
    }
    if (auto finished = finish_staged_files(*directory_, kCompactionNote); !finished) {
      return finished;
    }
  } else {
    const auto note = directory_->look(kCompactionNote);
    if (!note) return note.error();
    if (*note) return make_error(ErrorKind::kBusy, "a compaction is to be finished first");
  }
  if (auto begun = transaction.begin(); !begun) return begun;
  return access_ == Access::kWrite ? transaction.mend_tails() : Result<void>();
}

Result<void> JsonlMetastore::bring_up_to_date(const View& view,
                                              const std::optional<Error>& failure) {
  if (access_ == Access::kRead && !may_write_in(*directory_)) {
    return make_error(ErrorKind::kDenied, "the index may not be written");
  }
  const std::scoped_lock guard(write_mutex_);
  if (failure) index_.failed(*failure);
  return transact_guarded(std::min(options_.lock_timeout, kPatience),
                          [&](Transaction& transaction) -> Result<void> {
                            if (view.has_standings) transaction.judged_snapshot(view.viewpoint);
                            return {};
                          });
}

void JsonlMetastore::extend_text_index() {
  for (int steps_left = kTextIndexSteps; steps_left > 0; --steps_left) {
    const auto is_behind = ask(view_of("", false), [](Snapshot& snapshot) -> Result<bool> {
      return TextIndex(snapshot.index().database()).is_behind();
    });
    if (!is_behind || !*is_behind) return;
    if (access_ == Access::kRead && !may_write_in(*directory_)) return;
    const std::scoped_lock guard(write_mutex_);
    const auto extended = transact_guarded({}, [](Transaction& transaction) -> Result<void> {
      TextIndex(transaction.snapshot().index().database()).extend();
      return {};
    });
    if (!extended) return;
  }
}

// Files.

Result<std::vector<Registration>> JsonlMetastore::register_files(std::vector<FileRecord> found) {
  for (const FileRecord& file : found) {
    if (auto valid = check_registered(file); !valid) return valid.error();
  }
  return transact([&](Transaction& transaction) -> Result<std::vector<Registration>> {
    Snapshot& snapshot = transaction.snapshot();
    std::vector<Registration> registrations;
    registrations.reserve(found.size());
    std::vector<FileRecord> rows;
    for (const FileRecord& file : found) {
      std::optional<FileRecord> latest;
      const auto number = snapshot.latest(file.landing, file.path);
      if (number) {
        auto record = transaction.record(*number);
        if (!record) return record.error();
        latest = std::move(*record);
      }
      const auto is_replaceable = [&] {
        const auto deliveries = snapshot.deliveries(*number);
        return is_undelivered(*latest, deliveries, snapshot.demand()) && !is_held(deliveries);
      };
      rows.clear();
      registrations.push_back(
          decide_registration(file, now(), latest ? &*latest : nullptr, is_replaceable, rows));
      for (const FileRecord& row : rows) {
        if (auto entered = transaction.enter(row); !entered) return entered.error();
      }
    }
    return registrations;
  });
}

Result<std::size_t> JsonlMetastore::mark_missing(std::string_view landing,
                                                 std::span<const std::string> paths,
                                                 std::string_view reason) {
  return transact([&](Transaction& transaction) -> Result<std::size_t> {
    std::size_t marked = 0;
    for (const std::string& path : paths) {
      const auto latest = transaction.snapshot().latest(landing, path);
      if (!latest) continue;
      const auto file = transaction.record(*latest);
      if (!file) return file.error();
      if (file->state != FileState::kReady) continue;
      auto entered = transaction.enter(in_state(*file, FileState::kMissing, reason, now()));
      if (!entered) return entered.error();
      ++marked;
    }
    return marked;
  });
}

Result<std::size_t> JsonlMetastore::change_states(std::span<const StateChange> changes) {
  if (changes.empty()) return 0;
  return transact([&](Transaction& transaction) -> Result<std::size_t> {
    std::size_t changed = 0;
    for (const StateChange& change : changes) {
      const auto number = transaction.snapshot().index().find(change.id);
      if (!number) continue;
      const auto file = transaction.record(*number);
      if (!file) return file.error();
      auto entered = transaction.enter(in_state(*file, change.state, change.reason, now()));
      if (!entered) return entered.error();
      ++changed;
    }
    return changed;
  });
}

Result<std::size_t> JsonlMetastore::import_files(std::vector<FileRecord> rows) {
  for (const FileRecord& row : rows) {
    if (auto valid = check_imported(row); !valid) return valid.error();
  }
  return transact([&](Transaction& transaction) -> Result<std::size_t> {
    std::size_t entered = 0;
    for (const FileRecord& row : rows) {
      if (transaction.snapshot().index().find(row.id)) continue;
      if (auto done = transaction.enter(row); !done) return done.error();
      ++entered;
    }
    return entered;
  });
}

// Transfers.

namespace {

/// Claims files one by one.
class Claiming {
 public:
  Claiming(Transaction& transaction, Snapshot& snapshot, const ClaimRequest& request)
      : transaction_(transaction), snapshot_(snapshot), request_(request) {}

  Result<void> claim(FileNumber number) {
    auto file = transaction_.record(number);
    if (!file) return file.error();
    const auto deliveries = snapshot_.deliveries(number);
    const auto versions = snapshot_.versions(file->landing, file->path);
    std::optional<FileRecord> latest;
    if (!versions.empty() && versions.back() != number) {
      auto record = transaction_.record(versions.back());
      if (!record) return record.error();
      latest = std::move(*record);
    }
    const std::int64_t max_attempts =
        request_.ignore_max_attempts ? kAskedFor : snapshot_.demand().max_attempts;
    const bool is_other_held = versions.size() > 1 && holds_other(versions, number);
    switch (decide_claim(*file, deliveries, request_.destination, max_attempts,
                         latest ? &*latest : nullptr, is_other_held)) {
      case ClaimVerdict::kLeave:
        return {};
      case ClaimVerdict::kSupersede:
        return transaction_.enter(as_superseded(std::move(*file), now(), latest->id));
      case ClaimVerdict::kClaim:
        break;
    }
    const Delivery* delivery = find_delivery(deliveries, request_.destination);
    const auto answer = request_.accept ? request_.accept(*file, delivery) : Answer::kTake;
    has_enough_ = answer == Answer::kEnough;
    if (answer != Answer::kTake) return {};
    Claim claim{.file = std::move(*file), .attempt = next_attempt(delivery)};
    auto entered = transaction_.enter(in_progress_row(request_, claim, now()));
    if (entered) claims_.push_back(std::move(claim));
    return entered;
  }

  std::vector<Claim>& claims() { return claims_; }

  bool is_done() const { return has_enough_ || claims_.size() == request_.query.limit; }

 private:
  using Answer = ClaimRequest::Answer;

  bool holds_other(std::span<const FileNumber> versions, FileNumber number) {
    return std::ranges::any_of(versions, [&](FileNumber other) {
      if (other == number) return false;
      const auto deliveries = snapshot_.deliveries(other);
      const Delivery* delivery = find_delivery(deliveries, request_.destination);
      return delivery != nullptr && delivery->claim_alive;
    });
  }

  Transaction& transaction_;
  Snapshot& snapshot_;
  const ClaimRequest& request_;
  std::vector<Claim> claims_;
  bool has_enough_ = false;
};

}  // namespace

Result<std::vector<Claim>> JsonlMetastore::claim(const ClaimRequest& request) {
  const auto view = viewpoint_for(viewpoint(), request.destination);
  return transact([&](Transaction& transaction) -> Result<std::vector<Claim>> {
    remove_dead_agents(*directory_);
    if (!request.ids.empty()) {
      Claiming claiming(transaction, transaction.snapshot(), request);
      for (const std::string& id : request.ids) {
        const auto number = transaction.snapshot().index().find(id);
        if (!number) continue;
        if (auto claimed = claiming.claim(*number); !claimed) return claimed.error();
        if (claiming.is_done()) break;
      }
      return std::move(claiming.claims());
    }
    Snapshot& snapshot = transaction.judged_snapshot(view);
    Claiming claiming(transaction, snapshot, request);
    FileSearch search(deliverable(request));
    while (!claiming.is_done()) {
      const auto files = search.next_files(snapshot);
      if (!files) return files.error();
      if (files->empty()) break;
      for (const KnownFile& file : *files) {
        if (claiming.is_done()) break;
        if (auto claimed = claiming.claim(file.number); !claimed) return claimed.error();
      }
    }
    return std::move(claiming.claims());
  });
}

Result<std::vector<Release>> JsonlMetastore::release(std::span<const std::string> ids,
                                                     std::string_view destination) {
  return give_back(ids, destination, Standing::kFailed);
}

Result<std::vector<Release>> JsonlMetastore::resend(std::span<const std::string> ids,
                                                    std::string_view destination) {
  return give_back(ids, destination, Standing::kSuccessful);
}

Result<std::vector<Release>> JsonlMetastore::give_back(std::span<const std::string> ids,
                                                       std::string_view destination,
                                                       Standing standing) {
  return transact([&](Transaction& transaction) -> Result<std::vector<Release>> {
    Snapshot& snapshot = transaction.snapshot();
    std::vector<Release> released;
    std::set<std::string_view> seen;
    for (const std::string& id : ids) {
      const auto number = snapshot.index().find(id);
      const auto known = number ? snapshot.index().file(*number) : std::nullopt;
      if (!known || !seen.insert(id).second) continue;
      Page page;
      if (auto shown = snapshot.show(*known, page); !shown) return shown.error();
      FoundFile& found = page.files.front();
      const bool is_current = found.file.state == FileState::kReady &&
                              snapshot.latest(found.file.landing, found.file.path) == *number;
      if (standing == Standing::kSuccessful && !is_current) continue;
      for (const auto& row :
           released_rows(found.file, found.deliveries, destination, standing, now())) {
        auto entered = transaction.enter(row);
        if (!entered) return entered.error();
        released.push_back({id, row.destination});
      }
    }
    return released;
  });
}

Result<void> JsonlMetastore::append_rows(Transaction& transaction,
                                         std::span<const TransferRecord> rows) {
  for (const TransferRecord& row : rows) {
    if (auto entered = transaction.enter(row); !entered) return entered;
  }
  // What was replaced while an agent held it has failed, and nobody will try it again.
  Snapshot& snapshot = transaction.snapshot();
  for (const TransferRecord& row : rows) {
    if (row.status != TransferStatus::kFailed) continue;
    const auto number = snapshot.index().find(row.id);
    const auto known = number ? snapshot.index().file(*number) : std::nullopt;
    if (!known || known->record.state != FileState::kReady) continue;
    const FileRecord outline = snapshot.outline(*known);
    const auto latest = snapshot.latest(outline.landing, outline.path);
    const auto newer = latest ? snapshot.index().file(*latest) : std::nullopt;
    if (!newer || !is_replaced_by(outline, &newer->record)) continue;
    const auto deliveries = snapshot.deliveries(*number);
    if (is_held(deliveries) || !is_undelivered(outline, deliveries, snapshot.demand())) continue;
    auto file = transaction.record(*number);
    if (!file) return file.error();
    auto entered = transaction.enter(as_superseded(std::move(*file), now(), newer->record.id));
    if (!entered) return entered;
  }
  return {};
}

Result<void> JsonlMetastore::append_transfers(std::span<const TransferRecord> rows) {
  return transact([&](Transaction& transaction) { return append_rows(transaction, rows); });
}

Result<std::size_t> JsonlMetastore::append_unless_held(std::span<const TransferRecord> rows) {
  return transact([&](Transaction& transaction) -> Result<std::size_t> {
    std::vector<TransferRecord> free;
    for (const TransferRecord& row : rows) {
      const auto number = transaction.snapshot().index().find(row.id);
      const auto deliveries =
          number ? transaction.snapshot().deliveries(*number) : std::vector<Delivery>();
      const Delivery* delivery = find_delivery(deliveries, row.destination);
      if (!is_out_of_hand(delivery, row.agent)) free.push_back(row);
    }
    if (auto appended = append_rows(transaction, free); !appended) return appended.error();
    return free.size();
  });
}

// Opening.

Result<std::unique_ptr<Metastore>> open_jsonl(const std::string& location, Options options) {
  auto directory = Directory::open(location);
  if (!directory && directory.error().kind == ErrorKind::kNotFound) {
    directory = Directory::make(location);
  }
  if (!directory) return directory.error().with_context("metastore");
  {
    const AsOwner owner(*directory);
    if (const auto format = read_format(*directory); !format) return format.error();
  }
  auto store = std::make_unique<JsonlMetastore>(std::move(*directory), std::move(options),
                                                JsonlMetastore::Access::kWrite);
  if (auto opened = store->open(); !opened) return opened.error();
  return store;
}

Result<std::unique_ptr<Metastore>> open_jsonl_for_reading(const std::string& location,
                                                          Options options) {
  auto directory = Directory::open(location);
  if (!directory) return directory.error().with_context("metastore");
  {
    const AsOwner owner(*directory);
    const auto format = read_format(*directory);
    if (!format) return format.error();
    if (*format == Format::kEmpty) {
      return make_error(
          ErrorKind::kNotFound,
          "{} has no metastore: there is no metastore.json and no file_registry.jsonl", location);
    }
  }
  auto store = std::make_unique<JsonlMetastore>(std::move(*directory), std::move(options),
                                                JsonlMetastore::Access::kRead);
  if (auto opened = store->open(); !opened) return opened.error();
  return store;
}

}  // namespace ferry::metastore
