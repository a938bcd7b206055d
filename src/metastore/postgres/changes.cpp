#include "metastore/postgres/changes.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace ferry::metastore::postgres {
namespace {

using enum TransferStatus;

/// "3 0 1 … 5000": the counts, and the sum in ms.
std::string text_of(const Histogram& histogram) {
  return fmt::format("{} {}", fmt::join(histogram.counts, " "), histogram.sum_ms);
}

Histogram histogram_from(std::string_view text) {
  Histogram histogram;
  const auto take = [&]() -> std::int64_t {
    std::int64_t number = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
    text.remove_prefix(static_cast<std::size_t>(parsed.ptr - text.data()));
    if (!text.empty()) text.remove_prefix(1);
    return number;
  };
  for (std::int64_t& count : histogram.counts) count = take();
  histogram.sum_ms = take();
  return histogram;
}

}  // namespace

void Delivered::add(const DeliveryRow& delivery, std::int64_t registered, std::int64_t times) {
  using std::chrono::milliseconds;
  files += times;
  bytes += delivery.bytes * times;
  durations.add(milliseconds(delivery.duration_ms), times);
  const std::int64_t latency = std::max<std::int64_t>(to_ms(delivery.date) - registered, 0);
  latencies.add(milliseconds(latency), times);
}

Result<void> enter_delivered(Connection& connection, const std::map<std::string, Delivered>& sums) {
  if (sums.empty()) return {};
  Column destinations, files, bytes, durations, latencies;
  for (const auto& [destination, sum] : sums) {
    destinations.add(std::string_view(destination));
    files.add(sum.files);
    bytes.add(sum.bytes);
    durations.add(std::string_view(text_of(sum.durations)));
    latencies.add(std::string_view(text_of(sum.latencies)));
  }
  Parameters parameters;
  for (Column* column : {&destinations, &files, &bytes, &durations, &latencies}) {
    parameters.add(std::move(*column));
  }
  return connection.send(
      "INSERT INTO delivered_sums SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], "
      "$4::text[], $5::text[])",
      parameters);
}

Result<std::map<std::string, Delivered>> delivered(Connection& connection) {
  const auto rows =
      connection.run("SELECT destination, files, bytes, durations, latencies FROM delivered_sums");
  if (!rows) return rows.error();
  return delivered_in(*rows);
}

std::map<std::string, Delivered> delivered_in(const Rows& rows) {
  std::map<std::string, Delivered> sums;
  for (std::size_t i = 0; i < rows.count(); ++i) {
    Delivered& sum = sums[std::string(rows.text(i, 0))];
    sum.files += rows.integer(i, 1);
    sum.bytes += rows.integer(i, 2);
    sum.durations.add(histogram_from(rows.text(i, 3)));
    sum.latencies.add(histogram_from(rows.text(i, 4)));
  }
  return sums;
}

// Entering.

Result<void> Changes::begin() {
  auto held = hold_routes(snapshot_.connection());
  if (!held) return held.error();
  routes_ = std::move(*held);
  return {};
}

KnownFile* Changes::add(KnownFile file) {
  if (KnownFile* known = find(file.file.number)) return known;
  Change& change = changes_.emplace_back();
  change.known = std::move(file);
  by_number_[change.known.file.number] = &change;
  by_pointer_[&change.known] = &change;
  return &change.known;
}

KnownFile* Changes::find(FileNumber number) {
  const auto found = by_number_.find(number);
  return found == by_number_.end() ? nullptr : &found->second->known;
}

Changes::Change& Changes::change_of(KnownFile& file) {
  Change& change = *by_pointer_.at(&file);
  change.is_changed = true;
  return change;
}

void Changes::note_version(const PathKey& path, std::int64_t version) {
  std::int64_t& last = last_versions_[path];
  last = std::max(last, version);
}

Result<std::int64_t> Changes::next_version(const PathKey& path) {
  const auto known = last_versions_.find(path);
  if (known != last_versions_.end()) return ++known->second;
  Parameters parameters;
  parameters.add(path.landing).add(path.path);
  const auto last = snapshot_.connection().run(
      "SELECT coalesce(max(version), 0)::bigint FROM files WHERE landing = $1 AND path = $2",
      parameters);
  if (!last) return last.error();
  return last_versions_[path] = last->integer(0, 0) + 1;
}

/// Numbers below 0 stand for places among the rows, until those get theirs.
Result<KnownFile*> Changes::enter_new(const FileRecord& row) {
  const auto version = next_version({row.landing, row.path});
  if (!version) return version.error();
  registry_.push_back(row);
  KnownFile file;
  file.file.number = -static_cast<FileNumber>(changes_.size()) - 1;
  file.file.version = *version;
  file.file.registered = registered_at(row);
  file.file.row = -static_cast<std::int64_t>(registry_.size());
  file.file.size = size_of(row);
  file.file.record = row;
  KnownFile* added = add(std::move(file));
  change_of(*added).is_new = true;
  return added;
}

Result<void> Changes::enter(KnownFile& file, const FileRecord& row) {
  if (row.landing != file.file.record.landing) {
    const auto version = next_version({row.landing, row.path});
    if (!version) return version.error();
    file.file.version = *version;
  }
  registry_.push_back(row);
  file.file.row = -static_cast<std::int64_t>(registry_.size());
  file.file.size = size_of(row);
  file.file.record = row;
  change_of(file);
  return {};
}

void Changes::enter(KnownFile* file, const TransferRecord& row) {
  transfers_.push_back(row);
  if (file == nullptr) return;
  enter_delivery(*file, row, -static_cast<std::int64_t>(transfers_.size()));
}

void Changes::fold_earlier(KnownFile& file, const TransferRecord& row, std::int64_t number) {
  enter_delivery(file, row, number);
}

void Changes::enter_delivery(KnownFile& file, const TransferRecord& row, std::int64_t number) {
  change_of(file);
  const auto comes_before = [](const DeliveryRow& one, const std::string& destination) {
    return one.destination < destination;
  };
  auto place = std::lower_bound(file.deliveries.begin(), file.deliveries.end(), row.destination,
                                comes_before);
  const bool is_new = place == file.deliveries.end() || place->destination != row.destination;
  DeliveryRow folded = fold(is_new ? nullptr : &*place, row, number);
  Delivered& sum = delivered_[row.destination];
  if (!is_new && place->status == kSuccessful) sum.add(*place, file.file.registered, -1);
  if (folded.status == kSuccessful) sum.add(folded, file.file.registered, 1);
  if (is_new) {
    file.deliveries.insert(place, std::move(folded));
  } else {
    *place = std::move(folded);
  }
}

// What changes are made of.

Result<FilesById> lock_ids(Snapshot& snapshot, Changes& changes,
                           const std::vector<std::string>& ids) {
  auto files = snapshot.lock_outlines(ids);
  if (!files) return files.error();
  FilesById found;
  for (KnownFile& file : *files) {
    const std::string id = file.file.record.id;
    found.emplace(id, changes.add(std::move(file)));
  }
  return found;
}

Result<void> lock_strangers(Connection& connection) {
  const auto locked = connection.command("SELECT pg_advisory_xact_lock(ferry_lock_space(), 0)");
  return locked ? Result<void>() : locked.error();
}

bool is_held(std::span<const Delivery> deliveries) {
  return std::ranges::any_of(deliveries, &Delivery::claim_alive);
}

// Writing.

/// What has to be asked comes first: the rest is sent without waiting for answers.
Result<void> Changes::write() {
  if (registry_.empty() && transfers_.empty()) return {};
  std::erase_if(delivered_, [](const auto& sum) { return sum.second == Delivered{}; });
  if (auto numbered = number_rows(); !numbered) return numbered;
  if (auto judged = judge(); !judged) return judged;
  if (auto written = write_rows(); !written) return written;
  if (auto written = write_files(); !written) return written;
  if (auto written = write_deliveries(); !written) return written;
  if (auto entered = enter_delivered(snapshot_.connection(), delivered_); !entered) return entered;
  for (auto& [judged, have_standings] : rejudgements_) {
    auto written = judged.write(snapshot_.connection(), have_standings);
    if (!written) return written;
  }
  return tell();
}

Result<void> Changes::number_rows() {
  const auto is_new = [](const Change& change) { return change.is_new; };
  Parameters counts;
  counts.add(std::ranges::count_if(changes_, is_new));
  counts.add(static_cast<std::int64_t>(registry_.size()));
  counts.add(static_cast<std::int64_t>(transfers_.size()));
  const auto rows = snapshot_.connection().run(
      "SELECT 0, nextval('files_number') FROM generate_series(1, $1::bigint) UNION ALL "
      "SELECT 1, nextval('file_registry_row') FROM generate_series(1, $2::bigint) UNION ALL "
      "SELECT 2, nextval('transfer_logs_row') FROM generate_series(1, $3::bigint)",
      counts);
  if (!rows) return rows.error();
  std::vector<std::int64_t> files;
  for (std::size_t i = 0; i < rows->count(); ++i) {
    auto* const of = std::array{&files, &registry_rows_, &transfer_rows_}.at(
        static_cast<std::size_t>(rows->integer(i, 0)));
    of->push_back(rows->integer(i, 1));
  }
  const auto settle = [](std::int64_t& number, const std::vector<std::int64_t>& of) {
    if (number < 0) number = of[static_cast<std::size_t>(-number - 1)];
  };
  std::size_t next = 0;
  for (Change& change : changes_) {
    FileRow& file = change.known.file;
    if (change.is_new) file.number = files[next++];
    settle(file.row, registry_rows_);
    for (DeliveryRow& delivery : change.known.deliveries) {
      if (change.is_new || delivery.row < 0) fresh_.insert(&delivery);
      settle(delivery.row, transfer_rows_);
    }
  }
  return {};
}

Result<void> Changes::write_rows() {
  RegistryInsert registry;
  for (std::size_t i = 0; i < registry_.size(); ++i) registry.add(registry_rows_[i], registry_[i]);
  if (auto sent = registry.run(snapshot_.connection()); !sent) return sent;
  TransferInsert transfers;
  for (std::size_t i = 0; i < transfers_.size(); ++i) {
    transfers.add(transfer_rows_[i], transfers_[i]);
  }
  return transfers.run(snapshot_.connection());
}

Result<void> Changes::write_files() {
  Column number, id, landing, path, version, state, updated, registered, size, row;
  bool any = false;
  for (const Change& change : changes_) {
    if (!change.is_changed) continue;
    any = true;
    const FileRow& file = change.known.file;
    number.add(file.number);
    id.add(std::string_view(file.record.id));
    landing.add(std::string_view(file.record.landing));
    path.add(std::string_view(file.record.path));
    version.add(file.version);
    state.add(to_string(file.record.state));
    updated.add(file.record.updated_date);
    registered.add(file.registered);
    size.add(file.size);
    row.add(file.row);
  }
  if (!any || registry_.empty()) return {};
  Parameters parameters;
  for (Column* column :
       {&number, &id, &landing, &path, &version, &state, &updated, &registered, &size, &row}) {
    parameters.add(std::move(*column));
  }
  return snapshot_.connection().send(
      "INSERT INTO files AS f (number, id, landing, path, version, state, updated_date, "
      "registered, "
      "size, row) SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], "
      "$5::integer[], $6::text[], $7::timestamptz[], $8::bigint[], $9::bigint[], $10::bigint[]) ON "
      "CONFLICT (number) DO UPDATE SET landing = excluded.landing, path = excluded.path, version = "
      "excluded.version, state = excluded.state, updated_date = excluded.updated_date, size = "
      "excluded.size, row = excluded.row",
      parameters);
}

Result<void> Changes::write_deliveries() {
  Column file, destination, status, date, claimed, file_updated, attempt, bytes, duration, agent,
      batch, kind, message, row;
  bool any = false;
  for (const Change& change : changes_) {
    if (!change.is_changed) continue;
    for (const DeliveryRow& delivery : change.known.deliveries) {
      if (!fresh_.contains(&delivery)) continue;
      any = true;
      file.add(change.known.file.number);
      destination.add(std::string_view(delivery.destination));
      status.add(to_string(delivery.status));
      date.add(delivery.date);
      claimed.add(delivery.claimed);
      if (delivery.file_updated_date) {
        file_updated.add(*delivery.file_updated_date);
      } else {
        file_updated.add_null();
      }
      attempt.add(delivery.attempt);
      bytes.add(delivery.bytes);
      duration.add(delivery.duration_ms);
      agent.add(std::string_view(delivery.agent));
      batch.add(std::string_view(delivery.batch_id));
      kind.add(std::string_view(delivery.error_kind));
      message.add(std::string_view(delivery.error_message));
      row.add(delivery.row);
    }
  }
  if (!any) return {};
  Parameters parameters;
  for (Column* column : {&file, &destination, &status, &date, &claimed, &file_updated, &attempt,
                         &bytes, &duration, &agent, &batch, &kind, &message, &row}) {
    parameters.add(std::move(*column));
  }
  return snapshot_.connection().send(
      "INSERT INTO deliveries SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], "
      "$4::timestamptz[], $5::timestamptz[], $6::timestamptz[], $7::bigint[], $8::bigint[], "
      "$9::bigint[], $10::text[], $11::text[], $12::text[], $13::text[], $14::bigint[]) ON "
      "CONFLICT "
      "(file, destination) DO UPDATE SET transfer_status = excluded.transfer_status, transfer_date "
      "= excluded.transfer_date, claimed_date = excluded.claimed_date, file_updated_date = "
      "excluded.file_updated_date, attempt = excluded.attempt, bytes = excluded.bytes, duration_ms "
      "= excluded.duration_ms, agent = excluded.agent, batch_id = excluded.batch_id, error_kind = "
      "excluded.error_kind, error_message = excluded.error_message, row = excluded.row",
      parameters);
}

Result<void> Changes::judge() {
  std::vector<const KnownFile*> fresh;
  std::vector<const KnownFile*> changed;
  for (const Change& change : changes_) {
    if (change.is_changed) (change.is_new ? fresh : changed).push_back(&change.known);
  }
  for (const Route& route : routes_) {
    const auto view = std::ranges::find_if(views_, [&](const Viewpoint* one) {
      return route.is_complete && !one->is_private && one->fingerprint == route.fingerprint;
    });
    if (view == views_.end()) {
      others_.push_back(route.id);
      continue;
    }
    for (const bool have_standings : {false, true}) {
      const auto& files = have_standings ? changed : fresh;
      if (files.empty()) continue;
      auto judged = Rejudgement::of(files, route.id, **view, snapshot_.connection());
      if (!judged) return judged.error();
      rejudgements_.emplace_back(std::move(*judged), have_standings);
    }
  }
  return {};
}

/// Those who look from elsewhere, and those who wait.
Result<void> Changes::tell() {
  Connection& connection = snapshot_.connection();
  std::vector<FileNumber> numbers;
  for (const Change& change : changes_) {
    if (change.is_changed) numbers.push_back(change.known.file.number);
  }
  if (!others_.empty() && !numbers.empty()) {
    Parameters parameters;
    parameters.add(others_).add(numbers);
    auto noted = connection.send(
        "INSERT INTO unjudged SELECT route, file FROM unnest($1::integer[]) AS r(route), "
        "unnest($2::bigint[]) AS f(file)",
        parameters);
    if (!noted) return noted;
  }
  return connection.send("SELECT pg_notify('ferry_' || 'agents'::regclass::oid, '')");
}

void note_versions(const std::vector<PathKey>& keys,
                   const std::vector<std::vector<Version>>& versions, Changes& changes) {
  for (std::size_t i = 0; i < keys.size(); ++i) {
    changes.note_version(keys[i], 0);
    for (const Version& one : versions[i]) {
      changes.note_version({one.landing, keys[i].path}, one.version);
    }
  }
}

}  // namespace ferry::metastore::postgres
