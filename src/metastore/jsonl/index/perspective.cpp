#include "metastore/jsonl/index/perspective.h"

#include <algorithm>
#include <cstring>

namespace ferry::metastore {
namespace {

/// Those of the configuration, of --to on the command line, of none, of one before a change.
constexpr std::int64_t kPerspectives = 6;
constexpr std::int64_t kHour = 3'600'000;

std::int64_t now_ms() {
  return now().time_since_epoch().count();
}

void forget(Database& database, std::int64_t perspective) {
  database.run("DELETE FROM standing WHERE class IN (SELECT id FROM class WHERE perspective = ?)",
               perspective);
  database.run("DELETE FROM class WHERE perspective = ?", perspective);
  database.run("DELETE FROM perspective WHERE id = ?", perspective);
}

Blob blob_of(std::span<const FileNumber> numbers) {
  return {{reinterpret_cast<const char*>(numbers.data()), numbers.size_bytes()}};
}

void add_numbers(std::string_view blob, std::vector<FileNumber>& numbers) {
  const std::size_t before = numbers.size();
  numbers.resize(before + blob.size() / sizeof(FileNumber));
  std::memcpy(numbers.data() + before, blob.data(), (numbers.size() - before) * sizeof(FileNumber));
}

}  // namespace

Perspective::Perspective(Index& index, const Viewpoint& viewpoint)
    : index_(index), database_(index.database()), viewpoint_(viewpoint) {}

std::optional<std::int64_t> Perspective::find() {
  auto row = database_.query("SELECT id, judged FROM perspective WHERE fingerprint = ?",
                             std::string_view(viewpoint_.fingerprint));
  if (!row.next()) return std::nullopt;
  id_ = row.integer(0);
  judged_ = row.integer(1);
  return id_;
}

bool Perspective::is_current() {
  if (!find()) return false;
  auto row = database_.query("SELECT 1 FROM changed WHERE number > ? LIMIT 1", judged_);
  return !row.next();
}

void Perspective::bring_up_to_date() {
  if (!find()) return populate();
  std::vector<FileNumber> changed;
  {
    auto row = database_.query("SELECT files FROM changed WHERE number > ?", judged_);
    while (row.next()) add_numbers(row.text(0), changed);
  }
  std::ranges::sort(changed);
  const auto repeated = std::ranges::unique(changed);
  changed.erase(repeated.begin(), repeated.end());
  Perspective* const self = this;
  metastore::judge(index_, changed, std::span(&self, 1));
  database_.run("UPDATE perspective SET used = ? WHERE id = ? AND used < ?", now_ms(), id_,
                now_ms() - kHour);
  finish();
}

void Perspective::finish() {
  write_sums();
  database_.run("DELETE FROM class WHERE perspective = ? AND files = 0", id_);
  class_ids_.clear();
  is_ours_.clear();
  database_.run(
      "UPDATE perspective SET judged = (SELECT max(number) FROM changed) WHERE id = ? AND judged < "
      "(SELECT max(number) FROM changed)",
      id_);
}

/// Every file with its deliveries, both in order.
void Perspective::populate() {
  database_.run("INSERT INTO perspective(fingerprint, judged, used) VALUES(?, 0, ?)",
                std::string_view(viewpoint_.fingerprint), now_ms());
  id_ = database_.last_insert_id();
  database_.run(
      "UPDATE perspective SET judged = (SELECT ifnull(max(number), 0) FROM changed) WHERE id = ?",
      id_);
  index_.flush();
  std::vector<Delivery> deliveries;
  std::vector<Standing> standings;
  auto file_row = database_.query("SELECT " FERRY_FILE_COLUMNS " FROM file ORDER BY number");
  auto delivery_row = database_.query("SELECT " FERRY_DELIVERY_COLUMNS
                                      ", file FROM delivery ORDER BY file, destination");
  bool has_delivery = delivery_row.next();
  while (file_row.next()) {
    index_.forget_names();
    const KnownFile file = index_.file_from(file_row);
    deliveries.clear();
    for (; has_delivery && delivery_row.integer(12) <= file.number;
         has_delivery = delivery_row.next()) {
      if (delivery_row.integer(12) < file.number) continue;
      deliveries.push_back(index_.delivery_from(delivery_row).delivery);
    }
    judge_file(file, deliveries, standings);
    for (const Standing& standing : standings) insert(file.number, standing);
  }
  write_sums();
  std::vector<std::int64_t> stale;
  {
    auto row = database_.query("SELECT id FROM perspective ORDER BY used DESC LIMIT -1 OFFSET ?",
                               kPerspectives);
    while (row.next()) stale.push_back(row.integer(0));
  }
  for (const std::int64_t id : stale) forget(database_, id);
}

void Perspective::judge_file(const KnownFile& file, std::span<const Delivery> deliveries,
                             std::vector<Standing>& standings) {
  standings.clear();
  judgements_.clear();
  FileRecord record = file.record;
  record.landing = viewpoint_.canonical(file.record.landing);
  metastore::judge(record, deliveries, viewpoint_.demand, judgements_);
  for (const Judgement& judgement : judgements_) {
    const bool is_delivered = judgement.standing == metastore::Standing::kSuccessful;
    if (is_delivered && !judgement.is_by_any && !judgement.is_due_to_go) continue;
    standings.push_back({.class_id = class_of(judgement),
                         .updated = file.record.updated_date.time_since_epoch().count(),
                         .size = static_cast<std::int64_t>(file.size)});
  }
}

void Perspective::judge(FileNumber number, const KnownFile* file,
                        std::span<const Delivery> deliveries) {
  const std::vector<Standing> before = standings_of(number);
  std::vector<Standing> after;
  if (file != nullptr) judge_file(*file, deliveries, after);
  replace(number, before, after);
}

void Perspective::replace(FileNumber number, const std::vector<Standing>& before,
                          const std::vector<Standing>& after) {
  for (const Standing& old : before) {
    if (std::ranges::find(after, old) == after.end()) erase(number, old);
  }
  for (const Standing& standing : after) {
    if (std::ranges::find(before, standing) == before.end()) insert(number, standing);
  }
}

std::vector<Perspective::Standing> Perspective::standings_of(FileNumber number) {
  std::vector<Standing> found;
  auto row = database_.query("SELECT class, updated, size FROM standing WHERE file = ?", number);
  while (row.next()) {
    const std::int64_t id = row.integer(0);
    auto known = is_ours_.find(id);
    if (known == is_ours_.end()) {
      auto of = database_.query("SELECT perspective FROM class WHERE id = ?", id);
      known = is_ours_.emplace(id, of.next() && of.integer(0) == id_).first;
    }
    if (known->second) {
      found.push_back({.class_id = id, .updated = row.integer(1), .size = row.integer(2)});
    }
  }
  return found;
}

std::int64_t Perspective::class_of(const Judgement& judgement) {
  const std::int64_t status = judgement.status ? static_cast<std::int64_t>(*judgement.status) : -1;
  Key key{index_.enter_name(judgement.destination),
          static_cast<std::int64_t>(judgement.standing),
          status,
          index_.enter_name(judgement.agent),
          std::string(judgement.error_kind),
          judgement.is_open,
          judgement.is_by_any,
          judgement.is_due_to_go};
  if (const auto known = class_ids_.find(key); known != class_ids_.end()) return known->second;
  const auto& [destination, standing, of, agent, error_kind, is_open, is_by_any, is_due] = key;
  database_.run(
      "INSERT OR IGNORE INTO class(perspective, destination, standing, status, agent, error_kind, "
      "is_open, is_by_any, is_due_to_go, files, bytes) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0)",
      id_, destination, standing, of, agent, std::string_view(error_kind), std::int64_t{is_open},
      std::int64_t{is_by_any}, std::int64_t{is_due});
  auto row = database_.query(
      "SELECT id FROM class WHERE perspective = ? AND destination = ? AND standing = ? AND status "
      "= ? AND agent = ? AND error_kind = ? AND is_open = ? AND is_by_any = ? AND is_due_to_go = ?",
      id_, destination, standing, of, agent, std::string_view(error_kind), std::int64_t{is_open},
      std::int64_t{is_by_any}, std::int64_t{is_due});
  const std::int64_t id = row.next() ? row.integer(0) : 0;
  class_ids_.emplace(std::move(key), id);
  is_ours_[id] = true;
  return id;
}

void Perspective::insert(FileNumber number, const Standing& standing) {
  database_.run("INSERT INTO standing VALUES(?, ?, ?, ?)", standing.class_id, number,
                standing.updated, standing.size);
  auto& [files, bytes] = uncounted_[standing.class_id];
  ++files;
  bytes += standing.size;
}

void Perspective::erase(FileNumber number, const Standing& standing) {
  database_.run("DELETE FROM standing WHERE class = ? AND file = ?", standing.class_id, number);
  auto& [files, bytes] = uncounted_[standing.class_id];
  --files;
  bytes -= standing.size;
}

void Perspective::write_sums() {
  for (const auto& [id, sums] : uncounted_) {
    const auto& [files, bytes] = sums;
    if (files == 0 && bytes == 0) continue;
    database_.run("UPDATE class SET files = files + ?, bytes = bytes + ? WHERE id = ?", files,
                  bytes, id);
  }
  uncounted_.clear();
}

// Questions.

std::vector<Class> Perspective::classes() {
  write_sums();
  std::vector<Class> found;
  auto row = database_.query(
      "SELECT id, destination, standing, status, agent, error_kind, is_open, is_by_any, "
      "is_due_to_go, files, bytes FROM class WHERE perspective = ? AND files > 0",
      id_);
  while (row.next()) {
    Class& one = found.emplace_back();
    one.id = row.integer(0);
    one.judgement.destination = index_.name(row.integer(1));
    one.judgement.standing = static_cast<metastore::Standing>(row.integer(2));
    if (row.integer(3) >= 0) one.judgement.status = static_cast<TransferStatus>(row.integer(3));
    one.judgement.agent = index_.name(row.integer(4));
    one.judgement.error_kind = known_error_kind(row.text(5));
    one.judgement.is_open = row.integer(6) != 0;
    one.judgement.is_by_any = row.integer(7) != 0;
    one.judgement.is_due_to_go = row.integer(8) != 0;
    one.files = static_cast<std::uint64_t>(row.integer(9));
    one.bytes = static_cast<std::uint64_t>(row.integer(10));
  }
  return found;
}

std::vector<FileNumber> Perspective::files_in(std::int64_t class_id, FileNumber after,
                                              std::size_t limit) {
  std::vector<FileNumber> found;
  auto row = database_.query(
      "SELECT file FROM standing WHERE class = ? AND file > ? ORDER BY file LIMIT ?", class_id,
      after, static_cast<std::int64_t>(limit));
  while (row.next()) found.push_back(row.integer(0));
  return found;
}

std::vector<FileNumber> Perspective::files_before(std::int64_t class_id, FileNumber before,
                                                  std::size_t limit) {
  std::vector<FileNumber> found;
  auto row = database_.query(
      "SELECT file FROM standing WHERE class = ? AND file < ? ORDER BY file DESC LIMIT ?", class_id,
      before, static_cast<std::int64_t>(limit));
  while (row.next()) found.push_back(row.integer(0));
  return found;
}

std::optional<FileNumber> Perspective::oldest_in(std::int64_t class_id) {
  auto row = database_.query("SELECT file, min(updated) FROM standing WHERE class = ?", class_id);
  if (!row.next() || row.is_null(1)) return std::nullopt;
  return row.integer(0);
}

bool Perspective::has_open_files() {
  write_sums();
  auto row = database_.query(
      "SELECT 1 FROM class WHERE perspective = ? AND is_open = 1 AND files > 0 LIMIT 1", id_);
  return row.next();
}

// Changes.

void forget_perspectives(Index& index) {
  for (const char* sql : {"DELETE FROM standing", "DELETE FROM class", "DELETE FROM perspective",
                          "DELETE FROM changed"}) {
    index.database().execute(sql);
  }
}

void judge(Index& index, std::span<const FileNumber> changed,
           std::span<Perspective* const> perspectives) {
  std::vector<KnownDelivery> known;
  std::vector<Delivery> deliveries;
  for (const FileNumber number : changed) {
    index.forget_names();
    const auto file = index.file(number);
    deliveries.clear();
    if (file) {
      index.deliveries(number, known);
      for (const KnownDelivery& one : known) deliveries.push_back(one.delivery);
    }
    for (Perspective* one : perspectives) one->judge(number, file ? &*file : nullptr, deliveries);
  }
}

void note_changes(Index& index, std::span<const FileNumber> changed,
                  std::span<Perspective* const> judged) {
  Database& database = index.database();
  std::int64_t perspectives = 0;
  {
    auto row = database.query("SELECT count(*) FROM perspective");
    if (row.next()) perspectives = row.integer(0);
  }
  if (!changed.empty() && perspectives > static_cast<std::int64_t>(judged.size())) {
    database.run("INSERT INTO changed SELECT ifnull(max(number), 0) + ?, ? FROM changed",
                 static_cast<std::int64_t>(changed.size()), blob_of(changed));
  }
  for (Perspective* one : judged) one->finish();
  std::vector<std::int64_t> lagging;
  {
    auto row = database.query(
        "SELECT id FROM perspective WHERE judged < (SELECT max(number) FROM changed) - ?",
        static_cast<std::int64_t>(kManyChanges));
    while (row.next()) lagging.push_back(row.integer(0));
  }
  for (const std::int64_t id : lagging) forget(database, id);
  // The last one stays: numbers are not given twice.
  database.run(
      "DELETE FROM changed WHERE number <= (SELECT min(judged) FROM perspective) AND number < "
      "(SELECT max(number) FROM changed)");
}

}  // namespace ferry::metastore
