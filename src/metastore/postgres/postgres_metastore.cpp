#include "metastore/postgres/postgres_metastore.h"

#include <algorithm>
#include <set>

#include "metastore/postgres/agents.h"
#include "metastore/postgres/change_notice.h"
#include "metastore/postgres/location.h"
#include "metastore/postgres/schema.h"
#include "metastore/query_rules.h"

namespace ferry::metastore::postgres {
namespace {

/// The latest versions of PATHS, locked, in CHANGES; nothing for a path that has none.
using LatestFiles = std::map<PathKey, KnownFile*>;

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

std::vector<PostgresMetastore::View> PostgresMetastore::views_of(
    std::span<const TransferRecord> rows) {
  std::set<std::string> destinations;
  for (const TransferRecord& row : rows) destinations.insert(row.destination);
  std::vector<View> views{view()};
  for (const std::string& destination : destinations) {
    const View one = viewpoint_for(views.front(), destination);
    if (one->fingerprint != views.front()->fingerprint) views.push_back(one);
  }
  return views;
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
    if (auto valid = check_registered(file); !valid) return valid.error();
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
    std::vector<KnownFile*> all;
    for (const auto& [id, file] : *files) all.push_back(file);
    if (auto done = snapshot.complete(all); !done) return done.error();
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
    if (auto valid = check_imported(row); !valid) return valid.error();
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

// Others.

Result<std::unique_ptr<AgentPresence>> PostgresMetastore::join() {
  if (access_ == Access::kRead) return read_only();
  return make_presence(database_);
}

Result<std::unique_ptr<AgentPresence>> PostgresMetastore::join_as(const std::string& name) {
  if (access_ == Access::kRead) return read_only();
  return make_presence_of(database_, name);
}

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
