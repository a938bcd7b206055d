#include "metastore/jsonl/index/index.h"

#include <algorithm>

#include "ferry/base/uuid.h"
#include "metastore/jsonl/index/index_schema.h"
#include "metastore/jsonl/index/index_values.h"
#include "metastore/jsonl/index/stored_id.h"
#include "metastore/jsonl/index/text_index.h"
#include "metastore/jsonl/tables/layout.h"

namespace ferry::metastore {
namespace {

constexpr std::size_t kNamesInMemory = 4'096;

std::string schema_of(Database& database) {
  std::string schema;
  auto rows = database.query("SELECT sql FROM sqlite_schema ORDER BY name");
  while (rows.next()) schema.append(rows.text(0)).append(";\n");
  return schema;
}

std::string own_schema() {
  auto database = Database::in_memory();
  if (!database) return {};
  Index index(std::move(*database));
  index.create();
  index.create_lookups();
  return schema_of(index.database());
}

}  // namespace

// The database.

void Index::create() {
  static const std::string version = fmt::format("PRAGMA user_version = {}", kIndexVersion);
  database_.execute(kIndexTables);
  database_.execute(version.c_str());
}

void Index::create_lookups() {
  database_.execute(kIndexLookups);
}

bool Index::is_ours() {
  static const std::string ours = own_schema();
  auto version = database_.query("PRAGMA user_version");
  if (!version.next() || version.integer(0) != kIndexVersion) return false;
  return !ours.empty() && schema_of(database_) == ours;
}

Position Index::position(std::string_view table) {
  Position position;
  auto row = database_.query(
      "SELECT device, inode, offset, lines, size, mtime_ns, digest FROM source WHERE name = ?",
      table);
  if (!row.next()) return position;
  position.device = to_unsigned(row.integer(0));
  position.inode = to_unsigned(row.integer(1));
  position.offset = to_unsigned(row.integer(2));
  position.lines = to_unsigned(row.integer(3));
  position.size = to_unsigned(row.integer(4));
  position.mtime_ns = row.integer(5);
  position.digest = row.text(6);
  return position;
}

void Index::set_position(std::string_view table, const Position& position) {
  database_.run(
      "INSERT INTO source VALUES(?, ?, ?, ?, ?, ?, ?, ?, 0) ON CONFLICT DO UPDATE SET "
      "device = excluded.device, inode = excluded.inode, offset = excluded.offset, "
      "lines = excluded.lines, size = excluded.size, mtime_ns = excluded.mtime_ns, "
      "digest = excluded.digest",
      table, to_signed(position.device), to_signed(position.inode), to_signed(position.offset),
      to_signed(position.lines), to_signed(position.size), position.mtime_ns,
      std::string_view(position.digest));
}

std::uint64_t Index::keys(std::string_view table) {
  auto row = database_.query("SELECT keys FROM source WHERE name = ?", table);
  return row.next() ? to_unsigned(row.integer(0)) : 0;
}

void Index::write_keys() {
  const auto add = [this](std::string_view table, std::int64_t& keys) {
    if (keys == 0) return;
    database_.run(
        "INSERT INTO source(name, keys) VALUES(?, ?) ON CONFLICT DO UPDATE SET keys = keys + "
        "excluded.keys",
        table, keys);
    keys = 0;
  };
  add(kRegistryTable, new_files_);
  add(kTransferTable, new_deliveries_);
}

void Index::begin_reading() {
  is_writing_ = false;
  forget_names();
  database_.begin_reading();
}

void Index::begin_writing() {
  forget_names();
  has_orphans_.reset();
  last_delivered_.reset();
  forget_files();
  is_writing_ = true;
  database_.begin_writing();
}

Result<void> Index::commit() {
  flush();
  forget_files();
  is_writing_ = false;
  return database_.commit();
}

void Index::rollback() {
  database_.rollback();
  is_writing_ = false;
  forget_files();
  last_delivered_.reset();
  uncounted_.clear();
  new_files_ = new_deliveries_ = 0;
  has_orphans_.reset();
  names_.clear();  // among them are those that were entered
  ids_of_names_.clear();
}

// Names.

void Index::forget_names() {
  if (names_.size() > kNamesInMemory) names_.clear();
}

std::string_view Index::name(std::int64_t id) {
  if (id == 0) return {};
  if (const auto known = names_.find(id); known != names_.end()) return known->second;
  auto row = database_.query("SELECT text FROM name WHERE id = ?", id);
  if (!row.next()) return {};
  return names_.emplace(id, row.text(0)).first->second;
}

std::optional<std::int64_t> Index::find_name(std::string_view text) {
  if (text.empty()) return 0;
  if (ids_of_names_.size() > kNamesInMemory) ids_of_names_.clear();
  if (const auto known = ids_of_names_.find(text); known != ids_of_names_.end()) {
    return known->second;
  }
  auto row = database_.query("SELECT id FROM name WHERE text = ?", text);
  if (!row.next()) return std::nullopt;
  return ids_of_names_.emplace(text, row.integer(0)).first->second;
}

std::int64_t Index::enter_name(std::string_view text) {
  if (const auto known = find_name(text)) return *known;
  database_.run("INSERT INTO name(text) VALUES(?)", text);
  const std::int64_t id = database_.last_insert_id();
  if (!database_.failure()) ids_of_names_.emplace(text, id);
  return id;
}

// Files.

FileNumber Index::enter(const FileRecord& row, std::uint64_t offset, bool& is_new) {
  const StoredId id(row.id);
  const std::int64_t landing = enter_name(row.landing);
  const std::int64_t size = row.identity ? to_signed(row.identity->size) : 0;
  const auto state = static_cast<std::int64_t>(row.state);
  const std::int64_t updated = to_ms(row.updated_date);
  database_.run(
      "INSERT OR IGNORE INTO file(id, landing, path, state, updated, registered, size, offset) "
      "VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
      id.value(), landing, std::string_view(row.path), state, updated,
      to_ms(time_of_uuid(row.id).value_or(row.updated_date)), size, to_signed(offset));
  is_new = database_.changes() == 1;
  if (is_new) {
    ++new_files_;
    return database_.last_insert_id();
  }

  FileNumber number = 0;
  std::string older;
  {
    auto known =
        database_.query("SELECT number, older, offset, path FROM file WHERE id = ?", id.value());
    if (!known.next()) return 0;
    number = known.integer(0);
    older = known.text(1);
    const std::string_view path = known.text(3);
    if (path != row.path) TextIndex(database_).replace(number, path, row.path);
    append_older(older, number, kOfRegistry, known.integer(2));
  }
  database_.run(
      "UPDATE file SET landing = ?, path = ?, state = ?, updated = ?, size = ?, offset = ?, "
      "older = ? WHERE number = ?",
      landing, std::string_view(row.path), state, updated, size, to_signed(offset), Blob{older},
      number);
  if (const auto known = at_hand_.find(number); known != at_hand_.end()) known->second.file.reset();
  return number;
}

std::optional<FileNumber> Index::find(std::string_view id) {
  if (is_writing_) return find_at_hand(std::string(id));
  const StoredId key(id);
  auto row = database_.query("SELECT number FROM file WHERE id = ?", key.value());
  if (!row.next()) return std::nullopt;
  return row.integer(0);
}

KnownFile Index::file_from(const Rows& row) {
  KnownFile file;
  file.number = row.integer(0);
  file.record.id = id_from(row, 1);
  file.record.landing = name(row.integer(2));
  file.record.path = row.text(3);
  file.record.state = static_cast<FileState>(row.integer(4));
  file.record.updated_date = time_from(row.integer(5));
  file.size = to_unsigned(row.integer(6));
  file.offset = to_unsigned(row.integer(7));
  file.registered = row.integer(8);
  return file;
}

std::optional<KnownFile> Index::file(FileNumber number) {
  const auto known = at_hand_.find(number);
  if (known != at_hand_.end() && known->second.file) return *known->second.file;
  if (is_writing_ && known == at_hand_.end()) make_room_at_hand();
  auto row = database_.query("SELECT " FERRY_FILE_COLUMNS " FROM file WHERE number = ?", number);
  if (!row.next()) return std::nullopt;
  KnownFile file = file_from(row);
  if (is_writing_) keep_at_hand(file);
  return file;
}

std::vector<FileNumber> Index::versions(std::span<const std::string> landings,
                                        std::string_view path) {
  std::vector<FileNumber> found;
  for (const std::string& landing : landings) {
    const auto label = find_name(landing);
    if (!label) continue;
    auto row = database_.query(
        "SELECT number FROM file WHERE landing = ? AND path = ? ORDER BY number", *label, path);
    while (row.next()) found.push_back(row.integer(0));
  }
  if (landings.size() > 1) std::ranges::sort(found);
  return found;
}

std::vector<FileNumber> Index::versions_anywhere(std::string_view path) {
  return numbers(database_.query(
      "WITH RECURSIVE area(landing) AS (SELECT min(landing) FROM file UNION ALL SELECT (SELECT "
      "min(landing) FROM file WHERE landing > area.landing) FROM area WHERE area.landing IS NOT "
      "NULL) SELECT number FROM area CROSS JOIN file USING(landing) WHERE path = ? ORDER BY number",
      path));
}

std::vector<FileNumber> Index::files(FileNumber after, bool newest_first, std::size_t limit) {
  const auto most = static_cast<std::int64_t>(limit);
  if (newest_first) {
    return numbers(database_.query(
        "SELECT number FROM file WHERE number < ? ORDER BY number DESC LIMIT ?", after, most));
  }
  return numbers(database_.query("SELECT number FROM file WHERE number > ? ORDER BY number LIMIT ?",
                                 after, most));
}

std::vector<FileNumber> Index::registered_files(const Registered& after, std::int64_t end,
                                                bool newest_first, std::size_t limit) {
  const auto most = static_cast<std::int64_t>(limit);
  if (newest_first) {
    return numbers(
        database_.query("SELECT number FROM file INDEXED BY file_registered WHERE (registered, "
                        "number) < (?, ?) AND registered >= ? ORDER BY registered DESC, number "
                        "DESC LIMIT ?",
                        after.time, after.number, end, most));
  }
  return numbers(
      database_.query("SELECT number FROM file INDEXED BY file_registered WHERE (registered, "
                      "number) > (?, ?) AND registered < ? ORDER BY registered, number LIMIT ?",
                      after.time, after.number, end, most));
}

std::vector<FileNumber> Index::quarantined_files(FileNumber after, bool newest_first,
                                                 std::size_t limit) {
  const auto most = static_cast<std::int64_t>(limit);
  if (newest_first) {
    return numbers(
        database_.query("SELECT number FROM file WHERE state = 3 AND number < ? ORDER BY number "
                        "DESC LIMIT ?",
                        after, most));
  }
  return numbers(database_.query(
      "SELECT number FROM file WHERE state = 3 AND number > ? ORDER BY number LIMIT ?", after,
      most));
}

std::vector<FileNumber> Index::latest_of_paths(std::string_view landing, std::string_view from,
                                               std::string_view until, std::string_view after,
                                               std::size_t limit) {
  const auto label = find_name(landing);
  if (!label) return {};
  const bool goes_on = after >= from;
  const auto most = static_cast<std::int64_t>(limit);
  if (goes_on) {
    return numbers(
        database_.query("SELECT max(number) FROM file WHERE landing = ? AND path > ? AND path < ? "
                        "GROUP BY path ORDER BY path LIMIT ?",
                        *label, after, until, most));
  }
  return numbers(
      database_.query("SELECT max(number) FROM file WHERE landing = ? AND path >= ? AND path < ? "
                      "GROUP BY path ORDER BY path LIMIT ?",
                      *label, from, until, most));
}

// Damage.

void Index::enter_damage(std::string_view table, const DamagedRow& row) {
  database_.run("INSERT INTO damage VALUES(?, ?, ?, ?)", table, to_signed(row.line),
                to_signed(row.offset), std::string_view(row.reason));
}

std::uint64_t Index::files_gone_before(Timestamp since) {
  auto row = database_.query("SELECT count(*) FROM file WHERE state IN (1, 2) AND updated < ?",
                             to_ms(since));
  return row.next() ? to_unsigned(row.integer(0)) : 0;
}

void Index::for_each_file(const std::function<void(const KnownFile& file)>& visit) {
  auto row = database_.query("SELECT " FERRY_FILE_COLUMNS " FROM file ORDER BY number");
  while (row.next()) {
    forget_names();
    visit(file_from(row));
  }
}

std::uint64_t Index::damaged_rows() {
  auto row = database_.query("SELECT count(*) FROM damage");
  return row.next() ? to_unsigned(row.integer(0)) : 0;
}

std::vector<DamagedRow> Index::damage(std::size_t limit) {
  std::vector<DamagedRow> found;
  auto row = database_.query(
      "SELECT source, line, offset, reason FROM damage ORDER BY source, line LIMIT ?",
      static_cast<std::int64_t>(limit));
  while (row.next()) {
    found.push_back({.table = std::string(row.text(0)),
                     .line = to_unsigned(row.integer(1)),
                     .offset = to_unsigned(row.integer(2)),
                     .reason = std::string(row.text(3))});
  }
  return found;
}

}  // namespace ferry::metastore
