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

Result<std::vector<FileNumber>> Snapshot::lock_ids(const std::vector<std::string>& ids) {
  if (ids.empty()) return std::vector<FileNumber>();
  Parameters parameters;
  parameters.add(ids);
  const auto rows = connection_.run(
      "SELECT number FROM files WHERE id = ANY($1::text[]) ORDER BY number FOR UPDATE", parameters);
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
  std::unordered_map<FileNumber, std::size_t> places;
  files.reserve(rows->count());
  for (std::size_t i = 0; i < rows->count(); ++i) {
    FileRow& file = files.emplace_back().file;
    file.row = rows->integer(i, 0);
    file.record = file_record(*rows, i, 0);
    file.number = rows->integer(i, kRegistryColumns);
    file.version = rows->integer(i, kRegistryColumns + 1);
    file.registered = rows->integer(i, kRegistryColumns + 2);
    places.emplace(file.number, i);
  }
  const auto deliveries = connection_.run("SELECT " FERRY_DELIVERY_COLUMNS
                                          " FROM deliveries d WHERE d.file = ANY($1::bigint[]) "
                                          "ORDER BY d.file, d.destination",
                                          parameters);
  if (!deliveries) return deliveries.error();
  for (std::size_t i = 0; i < deliveries->count(); ++i) {
    const auto place = places.find(deliveries->integer(i, 0));
    if (place != places.end()) {
      files[place->second].deliveries.push_back(delivery_row(*deliveries, i));
    }
  }
  return files;
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
  parameters.add_array(places.take()).add_array(labels.take()).add_array(paths.take());
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
  parameters.add_array(places.take()).add_array(paths.take());
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
