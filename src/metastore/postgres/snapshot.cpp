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

Result<std::vector<std::vector<Version>>> Snapshot::versions(const std::vector<PathKey>& keys) {
  std::vector<std::vector<Version>> found(keys.size());
  if (keys.empty()) return found;
  Column places;
  Column labels;
  Column paths;
  std::vector<std::vector<std::string>> own_labels;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    auto own = viewpoint_.labels_of(keys[i].landing);
    own_labels.push_back(own);
    if (!keys[i].landing.empty()) own.emplace_back();
    for (const std::string& label : own) {
      places.add(static_cast<std::int64_t>(i));
      labels.add(std::string_view(label));
      paths.add(std::string_view(keys[i].path));
    }
  }
  Parameters parameters;
  parameters.add_array(places.take()).add_array(labels.take()).add_array(paths.take());
  const auto rows = connection_.run(
      "SELECT k.place, f.number, f.id, f.landing, f.version, f.state FROM unnest($1::bigint[], "
      "$2::text[], $3::text[]) AS k(place, landing, path) JOIN files f ON f.landing = k.landing "
      "AND f.path = k.path ORDER BY k.place, f.number",
      parameters);
  if (!rows) return rows.error();
  std::vector<std::vector<Version>> anywhere(keys.size());
  for (std::size_t i = 0; i < rows->count(); ++i) {
    const auto place = static_cast<std::size_t>(rows->integer(i, 0));
    Version version{.number = rows->integer(i, 1),
                    .id = std::string(rows->text(i, 2)),
                    .landing = std::string(rows->text(i, 3)),
                    .version = rows->integer(i, 4),
                    .state = parse_state(rows->text(i, 5)).value_or(FileState::kReady)};
    const bool is_own =
        std::ranges::find(own_labels[place], version.landing) != own_labels[place].end();
    (is_own ? found : anywhere)[place].push_back(std::move(version));
  }
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (found[i].empty()) found[i] = std::move(anywhere[i]);
  }
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
