#include "metastore/postgres/snapshot.h"

#include <algorithm>
#include <unordered_map>

namespace ferry::metastore::postgres {

std::vector<FileNumber> numbers_in(const Rows& rows) {
  std::vector<FileNumber> numbers(rows.count());
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = rows.integer(i, 0);
  return numbers;
}

Result<std::vector<FileNumber>> Snapshot::lock(const std::vector<FileNumber>& numbers, Wait wait) {
  if (numbers.empty()) return std::vector<FileNumber>();
  Parameters parameters;
  parameters.add(numbers);
  const auto rows = connection_.run(
      fmt::format("SELECT number FROM files WHERE number = ANY($1::bigint[]) ORDER BY number FOR "
                  "UPDATE {}",
                  wait == Wait::kYes ? "" : "SKIP LOCKED"),
      parameters);
  if (!rows) return rows.error();
  return numbers_in(*rows);
}

Result<std::vector<KnownFile>> Snapshot::load(const std::vector<FileNumber>& numbers) {
  std::vector<KnownFile> files;
  if (numbers.empty()) return files;
  Parameters parameters;
  parameters.add(numbers);
  const auto rows = connection_.run(
      "SELECT " FERRY_REGISTRY_COLUMNS
      ", f.number, f.version, f.registered FROM unnest($1::bigint[]) WITH ORDINALITY AS n(number, "
      "place) JOIN files f USING (number) JOIN file_registry r ON r.row = f.row ORDER BY place",
      parameters);
  if (!rows) return rows.error();
  files.reserve(rows->count());
  for (std::size_t i = 0; i < rows->count(); ++i) {
    FileRow& file = files.emplace_back().file;
    file.row = rows->integer(i, 0);
    file.record = file_record(*rows, i, 0);
    file.size = size_of(file.record);
    file.number = rows->integer(i, kRegistryColumns);
    file.version = rows->integer(i, kRegistryColumns + 1);
    file.registered = rows->integer(i, kRegistryColumns + 2);
  }
  if (auto added = add_deliveries(files); !added) return added.error();
  return files;
}

Result<std::vector<KnownFile>> Snapshot::outline(const std::vector<FileNumber>& numbers) {
  return outline_by("number = ANY($1::bigint[]) ORDER BY number", Parameters().add(numbers));
}

Result<std::vector<KnownFile>> Snapshot::lock_outlines(const std::vector<FileNumber>& numbers) {
  return outline_by("number = ANY($1::bigint[]) ORDER BY number FOR UPDATE",
                    Parameters().add(numbers));
}

Result<std::vector<KnownFile>> Snapshot::lock_outlines(const std::vector<std::string>& ids) {
  return outline_by("id = ANY($1::text[]) ORDER BY number FOR UPDATE", Parameters().add(ids));
}

Result<std::vector<KnownFile>> Snapshot::outline_by(std::string_view condition,
                                                    const Parameters& parameters) {
  const auto rows = connection_.run(
      fmt::format("SELECT number, id, landing, path, version, state, updated_date, registered, "
                  "size, row FROM files WHERE {}",
                  condition),
      parameters);
  if (!rows) return rows.error();
  std::vector<KnownFile> files(rows->count());
  for (std::size_t i = 0; i < files.size(); ++i) {
    FileRow& file = files[i].file;
    file.number = rows->integer(i, 0);
    file.record.id = rows->text(i, 1);
    file.record.landing = rows->text(i, 2);
    file.record.path = rows->text(i, 3);
    file.version = rows->integer(i, 4);
    file.record.state = parse_state(rows->text(i, 5)).value_or(FileState::kReady);
    file.record.updated_date = rows->time(i, 6);
    file.registered = rows->integer(i, 7);
    file.size = rows->integer(i, 8);
    file.row = rows->integer(i, 9);
  }
  if (auto added = add_deliveries(files); !added) return added.error();
  return files;
}

Result<void> Snapshot::add_deliveries(std::vector<KnownFile>& files) {
  if (files.empty()) return {};
  std::unordered_map<FileNumber, std::size_t> places;
  std::vector<FileNumber> numbers;
  for (std::size_t i = 0; i < files.size(); ++i) {
    places.emplace(files[i].file.number, i);
    numbers.push_back(files[i].file.number);
  }
  const auto rows = connection_.run("SELECT " FERRY_DELIVERY_COLUMNS
                                    " FROM deliveries d WHERE d.file = ANY($1::bigint[]) ORDER BY "
                                    "d.file, d.destination",
                                    Parameters().add(numbers));
  if (!rows) return rows.error();
  for (std::size_t i = 0; i < rows->count(); ++i) {
    files[places.at(rows->integer(i, 0))].deliveries.push_back(delivery_row(*rows, i));
  }
  return {};
}

Result<void> Snapshot::complete(std::span<KnownFile* const> files) {
  if (files.empty()) return {};
  std::unordered_map<std::int64_t, FileRow*> by_row;
  std::vector<std::int64_t> numbers;
  for (KnownFile* file : files) {
    by_row.emplace(file->file.row, &file->file);
    numbers.push_back(file->file.row);
  }
  const auto rows = connection_.run("SELECT " FERRY_REGISTRY_COLUMNS
                                    " FROM file_registry r WHERE r.row = ANY($1::bigint[])",
                                    Parameters().add(numbers));
  if (!rows) return rows.error();
  for (std::size_t i = 0; i < rows->count(); ++i) {
    by_row.at(rows->integer(i, 0))->record = file_record(*rows, i, 0);
  }
  return {};
}

Result<std::map<std::string, FileNumber>> Snapshot::find(const std::vector<std::string>& ids) {
  std::map<std::string, FileNumber> found;
  if (ids.empty()) return found;
  Parameters parameters;
  parameters.add(ids);
  const auto rows =
      connection_.run("SELECT number, id FROM files WHERE id = ANY($1::text[])", parameters);
  if (!rows) return rows.error();
  for (std::size_t i = 0; i < rows->count(); ++i) {
    found.emplace(rows->text(i, 1), rows->integer(i, 0));
  }
  return found;
}

namespace {

/// Columns: a place, and a version.
#define FERRY_VERSION_COLUMNS "f.number, f.id, f.landing, f.version, f.state"

Version version_in(const Rows& rows, std::size_t row) {
  return {.number = rows.integer(row, 1),
          .id = std::string(rows.text(row, 2)),
          .landing = std::string(rows.text(row, 3)),
          .version = rows.integer(row, 4),
          .state = parse_state(rows.text(row, 5)).value_or(FileState::kReady)};
}

}  // namespace

Result<std::vector<std::vector<Version>>> Snapshot::versions(const std::vector<PathKey>& keys) {
  std::vector<std::vector<Version>> found(keys.size());
  if (keys.empty()) return found;
  Column places;
  Column labels;
  Column paths;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    for (const std::string& label : viewpoint_.labels_of(keys[i].landing)) {
      places.add(static_cast<std::int64_t>(i));
      labels.add(std::string_view(label));
      paths.add(std::string_view(keys[i].path));
    }
  }
  Parameters parameters;
  parameters.add(std::move(places)).add(std::move(labels)).add(std::move(paths));
  const auto rows = connection_.run(
      "SELECT k.place, " FERRY_VERSION_COLUMNS
      " FROM unnest($1::bigint[], $2::text[], $3::text[]) AS k(place, landing, path) JOIN files f "
      "ON f.landing = k.landing AND f.path = k.path ORDER BY k.place, f.number",
      parameters);
  if (!rows) return rows.error();
  for (std::size_t i = 0; i < rows->count(); ++i) {
    found[static_cast<std::size_t>(rows->integer(i, 0))].push_back(version_in(*rows, i));
  }
  if (auto added = add_versions_of_any_area(keys, found); !added) return added.error();
  return found;
}

Result<void> Snapshot::add_versions_of_any_area(const std::vector<PathKey>& keys,
                                                std::vector<std::vector<Version>>& found) {
  Column places;
  Column paths;
  bool any = false;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (!found[i].empty() || keys[i].landing.empty()) continue;
    any = true;
    places.add(static_cast<std::int64_t>(i));
    paths.add(std::string_view(keys[i].path));
  }
  if (!any) return {};
  Parameters parameters;
  parameters.add(std::move(places)).add(std::move(paths));
  const auto rows = connection_.run(
      "SELECT k.place, " FERRY_VERSION_COLUMNS
      " FROM unnest($1::bigint[], $2::text[]) AS k(place, path) JOIN files f ON f.landing = '' AND "
      "f.path = k.path WHERE EXISTS (SELECT FROM files WHERE landing = '') ORDER BY k.place, "
      "f.number",
      parameters);
  if (!rows) return rows.error();
  for (std::size_t i = 0; i < rows->count(); ++i) {
    found[static_cast<std::size_t>(rows->integer(i, 0))].push_back(version_in(*rows, i));
  }
  return {};
}

/// Most have none, and nothing is sent for those.
Result<std::vector<std::vector<Version>>> Snapshot::versions(const std::vector<KnownFile>& files) {
  if (!demand().landing_aliases.empty()) {
    std::vector<PathKey> keys;
    for (const KnownFile& file : files) keys.push_back({record(file).landing, record(file).path});
    return versions(keys);
  }
  std::vector<std::vector<Version>> found(files.size());
  if (files.empty()) return found;
  std::unordered_map<FileNumber, std::size_t> places;
  std::vector<FileNumber> numbers;
  for (std::size_t i = 0; i < files.size(); ++i) {
    const FileRow& file = files[i].file;
    places.emplace(file.number, i);
    numbers.push_back(file.number);
    found[i].push_back({.number = file.number,
                        .id = file.record.id,
                        .landing = file.record.landing,
                        .version = file.version,
                        .state = file.record.state});
  }
  Parameters parameters;
  parameters.add(numbers);
  const auto rows = connection_.run("SELECT n.number, " FERRY_VERSION_COLUMNS
                                    " FROM unnest($1::bigint[]) AS k(number) JOIN files n USING "
                                    "(number) JOIN files f ON f.landing "
                                    "= n.landing AND f.path = n.path AND f.number <> n.number",
                                    parameters);
  if (!rows) return rows.error();
  for (std::size_t i = 0; i < rows->count(); ++i) {
    found[places.at(rows->integer(i, 0))].push_back(version_in(*rows, i));
  }
  for (auto& all : found) std::ranges::sort(all, {}, &Version::number);
  return found;
}

Result<void> Snapshot::look_who_lives() {
  auto looked = Liveness::look(connection_);
  if (!looked) return looked.error();
  liveness_.emplace(std::move(*looked));
  return {};
}

std::vector<Delivery> Snapshot::deliveries(const KnownFile& file) const {
  std::vector<Delivery> views;
  views.reserve(file.deliveries.size());
  for (const DeliveryRow& row : file.deliveries) {
    views.push_back(
        row.view(row.status == TransferStatus::kInProgress && liveness_->is_alive(row.agent)));
  }
  return views;
}

FileRecord Snapshot::record(const KnownFile& file) const {
  FileRecord record = file.file.record;
  record.landing = viewpoint_.canonical(record.landing);
  return record;
}

}  // namespace ferry::metastore::postgres
