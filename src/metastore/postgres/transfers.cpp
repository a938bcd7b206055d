// What PostgresMetastore enters of deliveries.
#include <algorithm>
#include <set>

#include "metastore/postgres/postgres_metastore.h"
#include "metastore/query_rules.h"

namespace ferry::metastore::postgres {
namespace {

/// Enters ROWS; what was replaced while an agent held it, and has failed, is superseded: nobody
/// will try it again.
Result<void> append_rows(Snapshot& snapshot, Changes& changes, const FilesById& files,
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
    if (auto done = snapshot.complete({&ready[i], 1}); !done) return done;
    auto entered =
        changes.enter(*ready[i], as_superseded(snapshot.record(*ready[i]), now(), latest.id));
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
Result<FilesById> lock_files_of(Snapshot& snapshot, Changes& changes,
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
      const auto rows =
          released_rows(snapshot.record(*file->second), snapshot.deliveries(*file->second),
                        destination, standing, now());
      for (const TransferRecord& row : rows) {
        changes.enter(file->second, row);
        released.push_back({id, row.destination});
      }
    }
    return released;
  });
}

Result<void> PostgresMetastore::append_transfers(std::span<const TransferRecord> rows) {
  return change(views_of(rows), [&](Snapshot& snapshot, Changes& changes) -> Result<void> {
    const auto files = lock_files_of(snapshot, changes, rows);
    if (!files) return files.error();
    if (auto looked = snapshot.look_who_lives(); !looked) return looked;
    return append_rows(snapshot, changes, *files, rows);
  });
}

/// Whoever claims one of them, or another version, waits for the locks: what it committed is seen.
Result<std::vector<bool>> PostgresMetastore::still_holds(const std::string& agent,
                                                         const std::string& destination,
                                                         std::span<const std::string> ids) {
  return change({view()}, [&](Snapshot& snapshot, Changes& changes) -> Result<std::vector<bool>> {
    const auto locked = lock_ids(snapshot, changes, {ids.begin(), ids.end()});
    if (!locked) return locked.error();
    std::vector<KnownFile> files;
    for (const auto& [id, file] : *locked) files.push_back(*file);
    const auto versions = snapshot.versions(files);
    if (!versions) return versions.error();
    std::vector<FileNumber> numbers;
    for (const auto& all : *versions) {
      for (const Version& one : all) numbers.push_back(one.number);
    }
    const auto loaded = snapshot.load(numbers);
    if (!loaded) return loaded.error();
    if (auto looked = snapshot.look_who_lives(); !looked) return looked.error();
    std::map<FileNumber, const KnownFile*> by_number;
    for (const KnownFile& one : *loaded) by_number.emplace(one.file.number, &one);
    const auto delivery_of = [&](FileNumber number, const auto& holds) {
      const auto found = by_number.find(number);
      if (found == by_number.end()) return false;
      const auto deliveries = snapshot.deliveries(*found->second);
      return holds(find_delivery(deliveries, destination));
    };
    std::map<std::string_view, bool> held;
    for (std::size_t i = 0; i < files.size(); ++i) {
      const FileNumber number = files[i].file.number;
      const bool is_ours = delivery_of(
          number, [&](const Delivery* delivery) { return is_in_hand(delivery, agent); });
      held[files[i].file.record.id] =
          is_ours && std::ranges::none_of((*versions)[i], [&](const Version& other) {
            return other.number != number && delivery_of(other.number, [&](const Delivery* its) {
                     return is_in_the_way(its, other.number > number);
                   });
          });
    }
    std::vector<bool> answer;
    for (const std::string& id : ids) answer.push_back(held.contains(id) && held.at(id));
    return answer;
  });
}

Result<std::size_t> PostgresMetastore::append_unless_held(std::span<const TransferRecord> rows) {
  return change(views_of(rows), [&](Snapshot& snapshot, Changes& changes) -> Result<std::size_t> {
    const auto files = lock_files_of(snapshot, changes, rows);
    if (!files) return files.error();
    if (auto looked = snapshot.look_who_lives(); !looked) return looked.error();
    std::vector<TransferRecord> free;
    for (const TransferRecord& row : rows) {
      const auto file = files->find(row.id);
      const auto deliveries =
          file == files->end() ? std::vector<Delivery>() : snapshot.deliveries(*file->second);
      const Delivery* delivery = find_delivery(deliveries, row.destination);
      if (!is_out_of_hand(delivery, row.agent)) free.push_back(row);
    }
    if (auto appended = append_rows(snapshot, changes, *files, free); !appended) {
      return appended.error();
    }
    return free.size();
  });
}

}  // namespace ferry::metastore::postgres
