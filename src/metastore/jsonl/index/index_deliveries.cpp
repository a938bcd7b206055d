// Index: deliveries, and what they sum up to.
#include <algorithm>
#include <cstring>

#include "metastore/jsonl/index/index.h"
#include "metastore/jsonl/index/index_values.h"
#include "metastore/jsonl/index/stored_id.h"

namespace ferry::metastore {
namespace {

constexpr std::size_t kFilesAtHand = 4'096;

Blob bytes_of(const Histogram& histogram) {
  return {{reinterpret_cast<const char*>(&histogram), sizeof histogram}};
}

Histogram histogram_from(std::string_view bytes) {
  Histogram histogram;
  if (bytes.size() == sizeof histogram) std::memcpy(&histogram, bytes.data(), sizeof histogram);
  return histogram;
}

}  // namespace

void Successes::add(const Successes& other) {
  files += other.files;
  bytes += other.bytes;
  durations.add(other.durations);
  latencies.add(other.latencies);
}

std::optional<FileNumber> Index::enter(const TransferRecord& row, std::uint64_t offset) {
  const auto number = find_at_hand(row.id);
  if (!number) {
    const StoredId id(row.id);
    database_.run("INSERT INTO orphan VALUES(?, ?)", id.value(), to_signed(offset));
    has_orphans_ = true;
    return std::nullopt;
  }
  const std::int64_t registered = at_hand_[*number].registered;
  bool is_new = false;
  StoredDelivery& delivery = stored_delivery(*number, enter_name(row.destination), is_new);
  if (!is_new) {
    append_older(delivery.older, *number, delivery.destination, delivery.offset);
    if (delivery.status == TransferStatus::kSuccessful) count(delivery, registered, -1);
  }
  const bool ends_attempt = !is_new && delivery.status == TransferStatus::kInProgress &&
                            row.status != TransferStatus::kInProgress &&
                            delivery.attempt == row.attempt;
  if (!ends_attempt) {
    delivery.claimed = to_ms(row.date);
    delivery.file_updated_date = std::nullopt;
  }
  if (row.file_updated_date) delivery.file_updated_date = to_ms(*row.file_updated_date);
  delivery.status = row.status;
  delivery.attempt = row.attempt;
  delivery.date = to_ms(row.date);
  delivery.agent = enter_name(row.agent);
  delivery.batch = enter_name(row.batch_id);
  const bool failed = row.status == TransferStatus::kFailed && row.error;
  delivery.error_kind = failed ? enter_name(row.error->kind) : 0;
  delivery.bytes = row.bytes;
  delivery.duration_ms = row.duration_ms;
  delivery.offset = to_signed(offset);
  delivery.is_written = false;
  if (row.status == TransferStatus::kSuccessful) count(delivery, registered, 1);
  return number;
}

// What is at hand.

std::optional<FileNumber> Index::find_at_hand(const std::string& id) {
  const auto known = numbers_at_hand_.find(id);
  if (known != numbers_at_hand_.end()) return known->second;
  make_room_at_hand();
  const StoredId key(id);
  auto row = database_.query("SELECT " FERRY_FILE_COLUMNS " FROM file WHERE id = ?", key.value());
  if (!row.next()) return std::nullopt;
  return keep_at_hand(file_from(row));
}

FileNumber Index::keep_at_hand(KnownFile file) {
  const FileNumber number = file.number;
  numbers_at_hand_.emplace(file.record.id, number);
  FileAtHand& at_hand = at_hand_[number];
  at_hand.registered = file.registered;
  at_hand.file = std::make_unique<KnownFile>(std::move(file));
  return number;
}

void Index::make_room_at_hand() {
  if (at_hand_.size() < kFilesAtHand) return;
  flush();
  forget_files();
}

void Index::forget_files() {
  at_hand_.clear();
  numbers_at_hand_.clear();
}

bool Index::is_beyond_deliveries(FileNumber number) {
  if (!last_delivered_) {
    auto row = database_.query("SELECT max(file) FROM delivery");
    last_delivered_ = row.next() ? row.integer(0) : 0;
  }
  return number > *last_delivered_;
}

std::vector<Index::StoredDelivery>& Index::deliveries_at_hand(FileNumber number) {
  auto& deliveries = at_hand_[number].deliveries;
  if (deliveries) return *deliveries;
  deliveries.emplace();
  if (is_beyond_deliveries(number)) return *deliveries;
  auto row = database_.query(
      "SELECT " FERRY_DELIVERY_COLUMNS ", older FROM delivery WHERE file = ?", number);
  while (row.next()) {
    StoredDelivery& delivery = deliveries->emplace_back(stored_from(row));
    delivery.older = row.text(12);
  }
  return *deliveries;
}

Index::StoredDelivery& Index::stored_delivery(FileNumber number, std::int64_t destination,
                                              bool& is_new) {
  auto& deliveries = deliveries_at_hand(number);
  const auto place =
      std::ranges::lower_bound(deliveries, destination, {}, &StoredDelivery::destination);
  is_new = place == deliveries.end() || place->destination != destination;
  if (!is_new) return *place;
  ++new_deliveries_;
  StoredDelivery& added = *deliveries.emplace(place);
  added.destination = destination;
  return added;
}

void Index::write(FileNumber number, StoredDelivery& delivery) {
  if (is_beyond_deliveries(number)) last_delivered_ = number;
  database_.run(
      "INSERT INTO delivery VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE "
      "SET status = excluded.status, attempt = excluded.attempt, date = excluded.date, "
      "claimed = excluded.claimed, file_updated = excluded.file_updated, agent = excluded.agent, "
      "batch = excluded.batch, error_kind = excluded.error_kind, bytes = excluded.bytes, "
      "duration = excluded.duration, offset = excluded.offset, older = excluded.older",
      number, delivery.destination, static_cast<std::int64_t>(delivery.status), delivery.attempt,
      delivery.date, delivery.claimed, delivery.file_updated_date, delivery.agent, delivery.batch,
      delivery.error_kind, delivery.bytes, delivery.duration_ms, delivery.offset,
      delivery.older.empty() ? std::nullopt : std::optional(Blob{delivery.older}));
  delivery.is_written = true;
}

void Index::write_deliveries() {
  std::vector<std::pair<FileNumber, StoredDelivery*>> unwritten;
  for (auto& [number, file] : at_hand_) {
    if (!file.deliveries) continue;
    for (StoredDelivery& delivery : *file.deliveries) {
      if (!delivery.is_written) unwritten.emplace_back(number, &delivery);
    }
  }
  std::ranges::sort(unwritten, {},
                    [](const auto& one) { return std::pair(one.first, one.second->destination); });
  for (const auto& [number, delivery] : unwritten) write(number, *delivery);
}

void Index::flush() {
  write_deliveries();
  write_successes();
  write_keys();
}

Index::StoredDelivery Index::stored_from(const Rows& row) {
  StoredDelivery delivery;
  delivery.destination = row.integer(0);
  delivery.status = static_cast<TransferStatus>(row.integer(1));
  delivery.attempt = row.integer(2);
  delivery.date = row.integer(3);
  delivery.claimed = row.integer(4);
  if (!row.is_null(5)) delivery.file_updated_date = row.integer(5);
  delivery.agent = row.integer(6);
  delivery.batch = row.integer(7);
  delivery.error_kind = row.integer(8);
  delivery.bytes = row.integer(9);
  delivery.duration_ms = row.integer(10);
  delivery.offset = row.integer(11);
  return delivery;
}

KnownDelivery Index::delivery_from(const Rows& row) {
  return known_from(stored_from(row));
}

void Index::deliveries(FileNumber number, std::vector<KnownDelivery>& found) {
  found.clear();
  if (is_writing_) {
    if (!at_hand_.contains(number)) make_room_at_hand();
    for (const StoredDelivery& delivery : deliveries_at_hand(number)) {
      found.push_back(known_from(delivery));
    }
    return;
  }
  auto row =
      database_.query("SELECT " FERRY_DELIVERY_COLUMNS " FROM delivery WHERE file = ?", number);
  while (row.next()) found.push_back(delivery_from(row));
}

KnownDelivery Index::known_from(const StoredDelivery& stored) {
  KnownDelivery known;
  Delivery& delivery = known.delivery;
  delivery.destination = name(stored.destination);
  delivery.status = stored.status;
  delivery.attempt = stored.attempt;
  delivery.date = time_from(stored.date);
  delivery.claimed = time_from(stored.claimed);
  if (stored.file_updated_date) delivery.file_updated_date = time_from(*stored.file_updated_date);
  delivery.agent = name(stored.agent);
  delivery.batch_id = name(stored.batch);
  delivery.error_kind = name(stored.error_kind);
  delivery.bytes = stored.bytes;
  delivery.duration_ms = stored.duration_ms;
  known.offset = to_unsigned(stored.offset);
  return known;
}

std::vector<FileNumber> Index::files_with_deliveries(FileNumber after, std::size_t limit) {
  write_deliveries();
  return numbers(
      database_.query("SELECT DISTINCT file FROM delivery WHERE file > ? ORDER BY file LIMIT ?",
                      after, static_cast<std::int64_t>(limit)));
}

std::vector<FileNumber> Index::files_of_batch(std::string_view batch, FileNumber after,
                                              std::size_t limit) {
  const auto id = find_name(batch);
  if (!id) return {};
  write_deliveries();
  return numbers(database_.query(
      "SELECT DISTINCT file FROM delivery WHERE batch = ? AND file > ? ORDER BY file LIMIT ?", *id,
      after, static_cast<std::int64_t>(limit)));
}

std::vector<FileNumber> Index::files_undone(FileNumber after, std::size_t limit) {
  write_deliveries();
  return numbers(
      database_.query("SELECT DISTINCT file FROM delivery INDEXED BY delivery_undone "
                      "WHERE status <> 1 AND file > ? ORDER BY file LIMIT ?",
                      after, static_cast<std::int64_t>(limit)));
}

std::vector<Index::Success> Index::successes_after(std::string_view destination,
                                                   const Success& after, std::size_t limit) {
  std::vector<Success> found;
  const auto id = find_name(destination);
  if (!id) return found;
  write_deliveries();
  auto row = database_.query(
      "SELECT date, file FROM delivery WHERE destination = ? AND status = 1 AND (date, file) > (?, "
      "?) ORDER BY date, file LIMIT ?",
      *id, to_ms(after.date), after.file, static_cast<std::int64_t>(limit));
  while (row.next()) found.push_back({time_from(row.integer(0)), row.integer(1)});
  return found;
}

std::vector<std::uint64_t> Index::take_orphans(std::string_view id) {
  std::vector<std::uint64_t> offsets;
  if (!has_orphans_) {
    auto any = database_.query("SELECT 1 FROM orphan LIMIT 1");
    has_orphans_ = any.next();
  }
  if (!*has_orphans_) return offsets;
  const StoredId key(id);
  auto row = database_.query("SELECT offset FROM orphan WHERE id = ? ORDER BY offset", key.value());
  while (row.next()) offsets.push_back(to_unsigned(row.integer(0)));
  if (!offsets.empty()) database_.run("DELETE FROM orphan WHERE id = ?", key.value());
  return offsets;
}

std::uint64_t Index::orphans() {
  auto row = database_.query("SELECT count(*) FROM orphan");
  return row.next() ? to_unsigned(row.integer(0)) : 0;
}

// Sums over what was delivered.

void Index::count(const StoredDelivery& delivery, std::int64_t registered, std::int64_t times) {
  Successes& sums = uncounted_[delivery.destination];
  sums.files += times;
  sums.bytes += delivery.bytes * times;
  sums.durations.add(std::chrono::milliseconds(delivery.duration_ms), times);
  const std::int64_t latency = std::max<std::int64_t>(delivery.date - registered, 0);
  sums.latencies.add(std::chrono::milliseconds(latency), times);
}

void Index::write_successes() {
  for (auto& [destination, sums] : uncounted_) {
    {
      auto row = database_.query(
          "SELECT files, bytes, durations, latencies FROM success WHERE destination = ?",
          destination);
      if (row.next()) {
        sums.add({.files = row.integer(0),
                  .bytes = row.integer(1),
                  .durations = histogram_from(row.text(2)),
                  .latencies = histogram_from(row.text(3))});
      }
    }
    database_.run("INSERT OR REPLACE INTO success VALUES(?, ?, ?, ?, ?)", destination, sums.files,
                  sums.bytes, bytes_of(sums.durations), bytes_of(sums.latencies));
  }
  uncounted_.clear();
}

std::vector<std::string> Index::destinations() {
  flush();
  std::vector<std::string> names;
  auto row = database_.query(
      "SELECT destination FROM success WHERE files > 0 UNION "
      "SELECT destination FROM delivery INDEXED BY delivery_undone WHERE status <> 1");
  while (row.next()) names.emplace_back(name(row.integer(0)));
  std::ranges::sort(names);
  return names;
}

std::map<std::string, Successes> Index::successes() {
  std::map<std::string, Successes> found;
  auto row = database_.query("SELECT destination, files, bytes, durations, latencies FROM success");
  while (row.next()) {
    found.emplace(name(row.integer(0)), Successes{.files = row.integer(1),
                                                  .bytes = row.integer(2),
                                                  .durations = histogram_from(row.text(3)),
                                                  .latencies = histogram_from(row.text(4))});
  }
  return found;
}

std::optional<Timestamp> Index::last_success(std::string_view destination) {
  const auto id = find_name(destination);
  if (!id) return std::nullopt;
  auto row = database_.query(
      "SELECT date FROM delivery WHERE destination = ? AND status = 1 ORDER BY date DESC LIMIT 1",
      *id);
  if (!row.next()) return std::nullopt;
  return time_from(row.integer(0));
}

}  // namespace ferry::metastore
