#include "metastore/jsonl/index/database.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <cstring>
#include <unordered_map>
#include <utility>

namespace ferry::metastore {
namespace {

/// How long somebody else may keep the index locked: its writers hold the metastore's lock, so that
/// nobody should.
constexpr int kPatienceMs = 2000;
constexpr const char* kVfs = "ferry";

/// The name is taken as it is: SQLite would follow its links to an absolute path, which leads out
/// of the directory that we hold open.
int keep_name(sqlite3_vfs*, const char* name, int size, char* out) {
  const std::size_t length = std::strlen(name);
  if (length + 1 > static_cast<std::size_t>(size)) return SQLITE_CANTOPEN;
  std::memcpy(out, name, length + 1);
  return SQLITE_OK;
}

/// SQLite's own for this system, but for the names.
bool register_vfs() {
  static sqlite3_vfs vfs = *sqlite3_vfs_find(nullptr);
  vfs.zName = kVfs;
  vfs.xFullPathname = &keep_name;
  return sqlite3_vfs_register(&vfs, 0) == SQLITE_OK;
}

ErrorKind kind_of(int code) {
  switch (code & 0xFF) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return ErrorKind::kBusy;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_AUTH:
      return ErrorKind::kDenied;
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_NOMEM:
      return ErrorKind::kIo;
    default:  // also what the wrong tables lead to
      return ErrorKind::kCorrupt;
  }
}

void close(sqlite3* connection) {
  sqlite3_close_v2(connection);
}

}  // namespace

struct Database::State {
  std::unique_ptr<sqlite3, void (*)(sqlite3*)> connection{nullptr, &close};
  std::unordered_map<const char*, sqlite3_stmt*> statements;
  int pages_in_wal = 0;

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    for (const auto& [sql, statement] : statements) sqlite3_finalize(statement);
  }
};

// Rows.

Rows::Rows(Rows&& other) noexcept
    : database_(other.database_), statement_(std::exchange(other.statement_, nullptr)) {}

Rows::~Rows() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

bool Rows::next() {
  return statement_ != nullptr && database_->step(statement_);
}

bool Rows::is_null(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

bool Rows::is_blob(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_BLOB;
}

std::int64_t Rows::integer(int column) const {
  return sqlite3_column_int64(statement_, column);
}

std::string_view Rows::text(int column) const {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_, column));
  if (bytes == nullptr) return {};
  return {bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

int Rows::columns() const {
  return statement_ == nullptr ? 0 : sqlite3_column_count(statement_);
}

std::string Rows::text_of_any(int column) const {
  const auto* text = sqlite3_column_text(statement_, column);
  return text == nullptr ? std::string() : reinterpret_cast<const char*>(text);
}

// Opening.

Database::Database(std::unique_ptr<State> state) : state_(std::move(state)) {}
Database::Database(Database&&) noexcept = default;
Database& Database::operator=(Database&&) noexcept = default;
Database::~Database() = default;

Result<Database> Database::open_path(const std::string& path, int flags, const char* pragmas) {
  static const bool has_vfs = register_vfs();
  if (!has_vfs) return make_error(ErrorKind::kIo, "SQLite cannot be used");
  auto state = std::make_unique<State>();
  sqlite3* connection = nullptr;
  const int code =
      sqlite3_open_v2(path.c_str(), &connection, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI,
                      path.empty() || path == ":memory:" ? nullptr : kVfs);
  state->connection.reset(connection);
  if (connection == nullptr) return make_error(ErrorKind::kIo, "SQLite has no memory");
  Database database(std::move(state));
  if (code != SQLITE_OK) {
    database.fail(code);
    return *database.failure();
  }
  sqlite3_extended_result_codes(connection, 1);
  sqlite3_busy_timeout(connection, kPatienceMs);
  // Others who may write the file do not get to run anything in our name.
  sqlite3_db_config(connection, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(connection, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  // The -wal file stays: those who may only read cannot make it. And a short command does not end
  // with syncs.
  sqlite3_db_config(connection, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  State* const kept = database.state_.get();
  sqlite3_wal_hook(
      connection,
      [](void* to, sqlite3*, const char*, int pages) {
        *static_cast<int*>(to) = pages;
        return SQLITE_OK;
      },
      &kept->pages_in_wal);
  database.execute(pragmas);
  if (database.failure()) return *database.failure();
  return database;
}

Result<Database> Database::open(int directory_fd, const std::string& name, Access access) {
  const std::string path = fmt::format("file:/proc/self/fd/{}/{}", directory_fd, name);
  switch (access) {
    case Access::kRead:
      return open_path(path, SQLITE_OPEN_READONLY, "PRAGMA cache_size=-5000");
    case Access::kFrozen:
      return open_path(path + "?immutable=1", SQLITE_OPEN_READONLY, "PRAGMA cache_size=-5000");
    case Access::kWrite: {
      auto database = open_path(path, SQLITE_OPEN_READWRITE,
                                "PRAGMA cache_size=-5000; PRAGMA synchronous=NORMAL");
      if (database && database->is_read_only()) {
        return make_error(ErrorKind::kDenied, "{} may not be written", name);
      }
      return database;
    }
    case Access::kBuild:
      break;
  }
  return open_path(path + "?nolock=1", SQLITE_OPEN_READWRITE,
                   "PRAGMA cache_size=-16000; PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; "
                   "PRAGMA locking_mode=EXCLUSIVE");
}

namespace {

constexpr const char* kOwnPragmas =
    "PRAGMA cache_size=-24000; PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF";
constexpr int kOwnFlags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;

}  // namespace

Result<Database> Database::temporary_on_disk() {
  return open_path("", kOwnFlags, kOwnPragmas);
}

Result<Database> Database::in_memory() {
  return open_path(":memory:", kOwnFlags, kOwnPragmas);
}

// Statements.

void Database::execute(const char* sql) {
  if (failure_) return;
  const int code = sqlite3_exec(state_->connection.get(), sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) fail(code);
}

sqlite3_stmt* Database::prepare(const char* sql) {
  if (failure_) return nullptr;
  sqlite3_stmt*& statement = state_->statements[sql];
  if (statement != nullptr) return statement;
  const int code = sqlite3_prepare_v3(state_->connection.get(), sql, -1, SQLITE_PREPARE_PERSISTENT,
                                      &statement, nullptr);
  if (code != SQLITE_OK) fail(code);
  return statement;
}

void Database::bind(sqlite3_stmt* statement, int index, std::int64_t value) {
  if (statement != nullptr) sqlite3_bind_int64(statement, index, value);
}
void Database::bind(sqlite3_stmt* statement, int index, std::string_view text) {
  if (statement == nullptr) return;
  sqlite3_bind_text64(statement, index, text.data() == nullptr ? "" : text.data(), text.size(),
                      SQLITE_TRANSIENT, SQLITE_UTF8);
}
void Database::bind(sqlite3_stmt* statement, int index, Blob blob) {
  if (statement == nullptr) return;
  sqlite3_bind_blob64(statement, index, blob.bytes.data(), blob.bytes.size(), SQLITE_TRANSIENT);
}
void Database::bind(sqlite3_stmt* statement, int index, std::nullptr_t) {
  if (statement != nullptr) sqlite3_bind_null(statement, index);
}

bool Database::step(sqlite3_stmt* statement) {
  if (failure_) return false;
  const int code = sqlite3_step(statement);
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) fail(code);
  return false;
}

std::int64_t Database::last_insert_id() const {
  return sqlite3_last_insert_rowid(state_->connection.get());
}

std::int64_t Database::changes() const {
  return sqlite3_changes64(state_->connection.get());
}

void Database::fail(int code) {
  if (failure_) return;
  sqlite3* const connection = state_->connection.get();
  const int extended = sqlite3_extended_errcode(connection);
  const int os_code = sqlite3_system_errno(connection);
  failure_ = make_error(kind_of(extended != SQLITE_OK ? extended : code), "the index: {}{}{}",
                        sqlite3_errmsg(connection), os_code != 0 ? ": " : "",
                        os_code != 0 ? std::strerror(os_code) : "");
  failure_->os_code = os_code;
}

// Transactions.

void Database::begin_reading() {
  execute("BEGIN");
}

void Database::end_reading() {
  if (is_in_transaction()) {
    sqlite3_exec(state_->connection.get(), "COMMIT", nullptr, nullptr, nullptr);
  }
}

void Database::begin_writing() {
  execute("BEGIN IMMEDIATE");
}

Result<void> Database::commit() {
  execute("COMMIT");
  if (!failure_) return {};
  return *failure_;
}

void Database::rollback() {
  if (is_in_transaction()) {
    sqlite3_exec(state_->connection.get(), "ROLLBACK", nullptr, nullptr, nullptr);
  }
  failure_.reset();
}

bool Database::is_in_transaction() const {
  return sqlite3_get_autocommit(state_->connection.get()) == 0;
}

void Database::copy_from(Database& source) {
  if (failure_) return;
  sqlite3* const to = state_->connection.get();
  sqlite3_backup* const backup =
      sqlite3_backup_init(to, "main", source.state_->connection.get(), "main");
  if (backup == nullptr) return fail(sqlite3_errcode(to));
  const int copied = sqlite3_backup_step(backup, -1);
  const int finished = sqlite3_backup_finish(backup);
  if (copied != SQLITE_DONE || finished != SQLITE_OK)
    fail(copied != SQLITE_DONE ? copied : finished);
}

void Database::checkpoint() {
  sqlite3_wal_checkpoint_v2(state_->connection.get(), nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr,
                            nullptr);
}

int Database::pages_in_wal() const {
  return state_->pages_in_wal;
}

bool Database::is_read_only() const {
  return sqlite3_db_readonly(state_->connection.get(), "main") == 1;
}

}  // namespace ferry::metastore
