#include "metastore/postgres/postgres_metastore.h"

#include <algorithm>
#include <set>

#include "metastore/path_rules.h"
#include "metastore/postgres/agents.h"
#include "metastore/postgres/change_notice.h"
#include "metastore/postgres/location.h"
#include "metastore/postgres/schema.h"

namespace ferry::metastore::postgres {
namespace {

Result<void> check_path(const FileRecord& record) {
  const std::string_view problem = path_problem(record.path);
  if (problem.empty()) return {};
  return make_error(ErrorKind::kInvalid, "register '{}': the path {}", record.path, problem);
}

bool is_held(std::span<const Delivery> deliveries) {
  return std::ranges::any_of(deliveries, &Delivery::claim_alive);
}

/// The latest versions of PATHS, locked, in CHANGES; nothing for a path that has none.
using LatestFiles = std::map<PathKey, KnownFile*>;

void note_versions(const std::vector<PathKey>& keys,
                   const std::vector<std::vector<Version>>& versions, Changes& changes) {
  for (std::size_t i = 0; i < keys.size(); ++i) {
    changes.note_version(keys[i], 0);
    for (const Version& one : versions[i]) {
      changes.note_version({one.landing, keys[i].path}, one.version);
    }
  }
}

/// Whoever held a lock may have entered another version: looked up again until they are the same.
Result<LatestFiles> lock_latest(Snapshot& snapshot, Changes& changes,
                                const std::set<PathKey>& paths) {
  const std::vector<PathKey> keys(paths.begin(), paths.end());
  std::set<FileNumber> locked;
  for (;;) {
    const auto versions = snapshot.versions(keys);
    if (!versions) return versions.error();
    std::vector<FileNumber> latest;
    for (const auto& all : *versions) {
      if (!all.empty()) latest.push_back(all.back().number);
    }
    std::vector<FileNumber> unlocked;
    for (const FileNumber number : latest) {
      if (!locked.contains(number)) unlocked.push_back(number);
    }
    if (!unlocked.empty()) {
      const auto now_locked = snapshot.lock(unlocked, Wait::kYes);
      if (!now_locked) return now_locked.error();
      locked.insert(unlocked.begin(), unlocked.end());
      continue;
    }
    note_versions(keys, *versions, changes);
    auto files = snapshot.load(latest);
    if (!files) return files.error();
    for (KnownFile& file : *files) changes.add(std::move(file));
    LatestFiles found;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const auto& all = (*versions)[i];
      if (!all.empty()) found.emplace(keys[i], changes.find(all.back().number));
    }
    return found;
  }
}

std::set<PathKey> keys_of(std::string_view landing, std::span<const std::string> paths) {
  std::set<PathKey> keys;
  for (const std::string& path : paths) keys.insert({std::string(landing), path});
  return keys;
}

/// All that are there, locked, by id.
Result<std::map<std::string, KnownFile*>> lock_ids(Snapshot& snapshot, Changes& changes,
                                                   const std::vector<std::string>& ids) {
  const auto numbers = snapshot.lock_ids(ids);
  if (!numbers) return numbers.error();
  auto files = snapshot.load(*numbers);
  if (!files) return files.error();
  std::map<std::string, KnownFile*> found;
  for (KnownFile& file : *files) {
    const std::string id = file.file.record.id;
    found.emplace(id, changes.add(std::move(file)));
  }
  return found;
}

}  // namespace

PostgresMetastore::PostgresMetastore(const std::string& location, Options options, Access access)
    : database_(location, options.lock_timeout),
      options_(std::move(options)),
      access_(access),
      viewpoint_(std::make_shared<const Viewpoint>(options_.demand)) {}

Result<void> PostgresMetastore::open() {
  if (access_ == Access::kRead) return check_schema(database_);
  const auto version = schema_version(database_);
  if (!version) return version.error();
  if (*version == 0) {
    if (auto made = upgrade_schema(database_); !made) return made;
  }
  if (auto checked = check_schema(database_); !checked) return checked;
  const View own = view();
  auto used = database_.write([&](Connection& connection) -> Result<void> {
    Parameters self;
    self.add(own->fingerprint);
    const auto noted = connection.run(
        "UPDATE routes SET used = now() WHERE fingerprint = $1 AND used < now() - interval '1 "
        "hour'",
        self);
    return noted ? Result<void>() : noted.error();
  });
  if (!used) return used;
  return bring_up_to_date(*own);
}

void PostgresMetastore::set_demand(Demand demand) {
  auto viewpoint = std::make_shared<const Viewpoint>(std::move(demand));
  const std::scoped_lock guard(mutex_);
  viewpoint_ = std::move(viewpoint);
}

PostgresMetastore::View PostgresMetastore::view() {
  const std::scoped_lock guard(mutex_);
  return viewpoint_;
}

PostgresMetastore::View PostgresMetastore::view_of(const std::string& destination) {
  return viewpoint_for(view(), destination);
}

Error PostgresMetastore::read_only() const {
  return make_error(ErrorKind::kDenied, "metastore {}: opened for reading only",
                    shown_location(database_.location()));
}

/// Who may not write to what is derived does without.
Result<void> PostgresMetastore::bring_up_to_date(const Viewpoint& viewpoint) {
  {
    const std::scoped_lock guard(mutex_);
    if (!may_write_) return {};
  }
  if (access_ == Access::kRead) {
    const auto may = database_.read([](Connection& connection) -> Result<bool> {
      const auto rows = connection.run(
          "SELECT NOT pg_is_in_recovery() AND current_setting('default_transaction_read_only') = "
          "'off' AND has_table_privilege('standings', 'INSERT, UPDATE, DELETE')");
      if (!rows) return rows.error();
      return rows->flag(0, 0);
    });
    if (!may) return may.error();
    const std::scoped_lock guard(mutex_);
    may_write_ = *may;
    if (!may_write_) return {};
  }
  return postgres::bring_up_to_date(database_, viewpoint, options_.on_reading);
}

// Files.

Result<std::vector<Registration>> PostgresMetastore::register_files(std::vector<FileRecord> found) {
  std::set<PathKey> keys;
  for (const FileRecord& file : found) {
    if (auto valid = check_path(file); !valid) return valid.error();
    keys.insert({file.landing, file.path});
  }
  using Answer = Result<std::vector<Registration>>;
  return change({view()}, [&](Snapshot& snapshot, Changes& changes) -> Answer {
    auto latest_files = lock_latest(snapshot, changes, keys);
    if (!latest_files) return latest_files.error();
    if (auto looked = snapshot.look_who_lives(); !looked) return looked.error();
    std::vector<Registration> registrations;
    registrations.reserve(found.size());
    std::vector<FileRecord> rows;
    for (const FileRecord& file : found) {
      KnownFile*& known = (*latest_files)[{file.landing, file.path}];
      std::optional<FileRecord> latest;
      if (known != nullptr) latest = snapshot.record(*known);
      const auto is_replaceable = [&] {
        const auto deliveries = snapshot.deliveries(*known);
        return is_undelivered(*latest, deliveries, snapshot.demand()) && !is_held(deliveries);
      };
      rows.clear();
      registrations.push_back(
          decide_registration(file, now(), latest ? &*latest : nullptr, is_replaceable, rows));
      KnownFile* const before = known;
      for (const FileRecord& row : rows) {
        if (before != nullptr && row.id == before->file.record.id) {
          if (auto entered = changes.enter(*before, row); !entered) return entered.error();
          continue;
        }
        const auto entered = changes.enter_new(row);
        if (!entered) return entered.error();
        known = *entered;
      }
    }
    return registrations;
  });
}

Result<std::size_t> PostgresMetastore::mark_missing(std::string_view landing,
                                                    std::span<const std::string> paths,
                                                    std::string_view reason) {
  return change({view()}, [&](Snapshot& snapshot, Changes& changes) -> Result<std::size_t> {
    const auto latest = lock_latest(snapshot, changes, keys_of(landing, paths));
    if (!latest) return latest.error();
    std::size_t marked = 0;
    for (const auto& [path, file] : *latest) {
      if (file->file.record.state != FileState::kReady) continue;
      auto entered = changes.enter(
          *file, in_state(snapshot.record(*file), FileState::kMissing, reason, now()));
      if (!entered) return entered.error();
      ++marked;
    }
    return marked;
  });
}

Result<std::size_t> PostgresMetastore::change_states(std::span<const StateChange> requested) {
  if (requested.empty()) return 0;
  std::vector<std::string> ids;
  for (const StateChange& one : requested) ids.push_back(one.id);
  return change({view()}, [&](Snapshot& snapshot, Changes& changes) -> Result<std::size_t> {
    const auto files = lock_ids(snapshot, changes, ids);
    if (!files) return files.error();
    std::size_t changed = 0;
    for (const StateChange& one : requested) {
      const auto file = files->find(one.id);
      if (file == files->end()) continue;
      const FileRecord before = snapshot.record(*file->second);
      auto entered = changes.enter(*file->second, in_state(before, one.state, one.reason, now()));
      if (!entered) return entered.error();
      ++changed;
    }
    return changed;
  });
}

namespace {

/// Between rows of the logs whose file is not registered, and files that get registered: taken by
/// both.
Result<void> lock_strangers(Connection& connection) {
  const auto locked = connection.command("SELECT pg_advisory_xact_lock(ferry_lock_space(), 0)");
  return locked ? Result<void>() : locked.error();
}

Result<void> fold_earlier_rows(Connection& connection, Changes& changes,
                               const std::map<std::string, KnownFile*>& files) {
  std::vector<std::string> ids;
  for (const auto& [id, file] : files) ids.push_back(id);
  Parameters parameters;
  parameters.add(ids);
  const auto rows = connection.run("SELECT " FERRY_TRANSFER_COLUMNS
                                   " FROM transfer_logs l WHERE l.id = ANY($1::text[]) ORDER BY "
                                   "l.row",
                                   parameters);
  if (!rows) return rows.error();
  for (std::size_t i = 0; i < rows->count(); ++i) {
    const TransferRecord row = transfer_record(*rows, i, 0);
    changes.fold_earlier(*files.at(row.id), row, rows->integer(i, 0));
  }
  return {};
}

}  // namespace

Result<std::size_t> PostgresMetastore::import_files(std::vector<FileRecord> rows) {
  std::vector<std::string> ids;
  for (const FileRecord& row : rows) {
    if (auto valid = check_path(row); !valid) return valid.error();
    if (const auto problem = id_problem(row.id); row.id.empty() || !problem.empty()) {
      return make_error(ErrorKind::kInvalid, "import '{}': the id {}", row.path,
                        row.id.empty() ? "is empty" : problem);
    }
    ids.push_back(row.id);
  }
  return change({view()}, [&](Snapshot& snapshot, Changes& changes) -> Result<std::size_t> {
    if (auto locked = lock_strangers(snapshot.connection()); !locked) return locked.error();
    const auto known = snapshot.find(ids);
    if (!known) return known.error();
    std::vector<PathKey> keys;
    for (const FileRecord& row : rows) keys.push_back({row.landing, row.path});
    const auto versions = snapshot.versions(keys);
    if (!versions) return versions.error();
    note_versions(keys, *versions, changes);
    std::map<std::string, KnownFile*> entered;
    for (const FileRecord& row : rows) {
      if (known->contains(row.id) || entered.contains(row.id)) continue;
      const auto file = changes.enter_new(row);
      if (!file) return file.error();
      entered.emplace(row.id, *file);
    }
    auto folded = fold_earlier_rows(snapshot.connection(), changes, entered);
    if (!folded) return folded.error();
    return entered.size();
  });
}

// Transfers.

Result<std::unique_ptr<AgentPresence>> PostgresMetastore::join() {
  if (access_ == Access::kRead) return read_only();
  return make_presence(database_);
}

namespace {

/// What holds for DESTINATION becomes its own.
void keep_only(std::string_view destination, std::vector<Delivery>& deliveries) {
  const Delivery* found = find_delivery(deliveries, destination);
  std::optional<Delivery> kept;
  if (found != nullptr) kept = *found;
  deliveries.clear();
  if (!kept) return;
  kept->destination = destination;
  deliveries.push_back(*kept);
}

/// Attempt 0: as if it had never been tried.
TransferRecord released_row(const std::string& id, const Delivery& ended, Timestamp now) {
  const bool failed = ended.status == TransferStatus::kFailed;
  TransferRecord row;
  row.id = id;
  row.status = TransferStatus::kFailed;
  row.date = now;
  row.destination = ended.destination;
  row.attempt = 0;
  row.error =
      TransferError{.kind = failed ? "released" : "resend",
                    .message = failed ? fmt::format("released after {} attempts; the last: {}",
                                                    ended.attempt, ended.error_message)
                                      : "delivered, and to be delivered again",
                    .retryable = true};
  return row;
}

/// Of those of FILE's deliveries that stand like this, as rows.
std::vector<TransferRecord> released_rows(Snapshot& snapshot, const KnownFile& file,
                                          std::string_view destination, Standing standing) {
  const FileRecord record = snapshot.record(file);
  auto deliveries = snapshot.deliveries(file);
  if (!destination.empty()) keep_only(destination, deliveries);
  std::vector<TransferRecord> rows;
  for (const Delivery& delivery : deliveries) {
    if (standing_of(record, &delivery) != standing) continue;
    rows.push_back(released_row(record.id, delivery, now()));
  }
  return rows;
}

/// Enters ROWS; what was replaced while an agent held it, and has failed, is superseded: nobody
/// will try it again.
Result<void> append_rows(Snapshot& snapshot, Changes& changes,
                         const std::map<std::string, KnownFile*>& files,
                         std::span<const TransferRecord> rows) {
  std::set<KnownFile*> failed;
  for (const TransferRecord& row : rows) {
    const auto file = files.find(row.id);
    changes.enter(file == files.end() ? nullptr : file->second, row);
    if (file != files.end() && row.status == TransferStatus::kFailed) failed.insert(file->second);
  }
  std::vector<KnownFile*> ready;
  std::vector<PathKey> keys;
  for (KnownFile* file : failed) {
    const FileRecord record = snapshot.record(*file);
    if (record.state != FileState::kReady) continue;
    ready.push_back(file);
    keys.push_back({record.landing, record.path});
  }
  const auto versions = snapshot.versions(keys);
  if (!versions) return versions.error();
  for (std::size_t i = 0; i < ready.size(); ++i) {
    if ((*versions)[i].empty()) continue;
    FileRecord latest;
    latest.id = (*versions)[i].back().id;
    latest.state = (*versions)[i].back().state;
    const FileRecord record = snapshot.record(*ready[i]);
    if (!is_replaced_by(record, &latest)) continue;
    const auto deliveries = snapshot.deliveries(*ready[i]);
    if (is_held(deliveries) || !is_undelivered(record, deliveries, snapshot.demand())) continue;
    auto entered = changes.enter(*ready[i], as_superseded(record, now(), latest.id));
    if (!entered) return entered;
  }
  return {};
}

std::vector<std::string> ids_of(std::span<const TransferRecord> rows) {
  std::set<std::string> ids;
  for (const TransferRecord& row : rows) ids.insert(row.id);
  return {ids.begin(), ids.end()};
}

/// The files that ROWS are about, locked. Those that are not registered cannot be for as long as
/// the transaction lasts.
Result<std::map<std::string, KnownFile*>> lock_files_of(Snapshot& snapshot, Changes& changes,
                                                        std::span<const TransferRecord> rows) {
  const auto ids = ids_of(rows);
  auto files = lock_ids(snapshot, changes, ids);
  if (!files || files->size() == ids.size()) return files;
  if (auto locked = lock_strangers(snapshot.connection()); !locked) return locked.error();
  return lock_ids(snapshot, changes, ids);
}

}  // namespace

Result<std::vector<Release>> PostgresMetastore::release(std::span<const std::string> ids,
                                                        std::string_view destination) {
  return give_back(ids, destination, Standing::kFailed);
}

Result<std::vector<Release>> PostgresMetastore::resend(std::span<const std::string> ids,
                                                       std::string_view destination) {
  return give_back(ids, destination, Standing::kSuccessful);
}

Result<std::vector<Release>> PostgresMetastore::give_back(std::span<const std::string> ids,
                                                          std::string_view destination,
                                                          Standing standing) {
  using Answer = Result<std::vector<Release>>;
  return change({view()}, [&](Snapshot& snapshot, Changes& changes) -> Answer {
    const auto files = lock_ids(snapshot, changes, {ids.begin(), ids.end()});
    if (!files) return files.error();
    if (auto looked = snapshot.look_who_lives(); !looked) return looked.error();
    std::vector<KnownFile> all;
    std::map<FileNumber, std::size_t> places;
    for (const auto& [id, file] : *files) {
      places.emplace(file->file.number, all.size());
      all.push_back(*file);
    }
    const auto versions = snapshot.versions(all);
    if (!versions) return versions.error();
    std::vector<Release> released;
    std::set<std::string_view> seen;
    for (const std::string& id : ids) {
      const auto file = files->find(id);
      if (file == files->end() || !seen.insert(id).second) continue;
      const FileNumber number = file->second->file.number;
      const bool is_current = file->second->file.record.state == FileState::kReady &&
                              (*versions)[places.at(number)].back().number == number;
      if (standing == Standing::kSuccessful && !is_current) continue;
      for (const auto& row : released_rows(snapshot, *file->second, destination, standing)) {
        changes.enter(file->second, row);
        released.push_back({id, row.destination});
      }
    }
    return released;
  });
}

Result<void> PostgresMetastore::append_transfers(std::span<const TransferRecord> rows) {
  return change({view()}, [&](Snapshot& snapshot, Changes& changes) -> Result<void> {
    const auto files = lock_files_of(snapshot, changes, rows);
    if (!files) return files.error();
    if (auto looked = snapshot.look_who_lives(); !looked) return looked;
    return append_rows(snapshot, changes, *files, rows);
  });
}

Result<std::size_t> PostgresMetastore::append_unless_held(std::span<const TransferRecord> rows) {
  return change({view()}, [&](Snapshot& snapshot, Changes& changes) -> Result<std::size_t> {
    const auto files = lock_files_of(snapshot, changes, rows);
    if (!files) return files.error();
    if (auto looked = snapshot.look_who_lives(); !looked) return looked.error();
    std::vector<TransferRecord> free;
    for (const TransferRecord& row : rows) {
      const auto file = files->find(row.id);
      const auto deliveries =
          file == files->end() ? std::vector<Delivery>() : snapshot.deliveries(*file->second);
      const Delivery* delivery = find_delivery(deliveries, row.destination);
      const bool is_settled =
          delivery != nullptr &&
          (delivery->claim_alive || delivery->status == TransferStatus::kSuccessful);
      if (!is_settled) free.push_back(row);
    }
    if (auto appended = append_rows(snapshot, changes, *files, free); !appended) {
      return appended.error();
    }
    return free.size();
  });
}

// Changes.

Result<std::unique_ptr<ChangeNotice>> PostgresMetastore::watch_changes() {
  const auto channel = database_.read([](Connection& connection) -> Result<std::string> {
    const auto rows = connection.run("SELECT 'ferry_' || 'agents'::regclass::oid");
    if (!rows) return rows.error();
    return std::string(rows->text(0, 0));
  });
  if (!channel) return channel.error();
  return listen(database_.location(), *channel, database_.patience());
}

}  // namespace ferry::metastore::postgres
