// SQLite, as far as the index needs it. The only user of sqlite3.h is database.cpp.
//
// A failure is kept: from then on nothing is done and no row is found, until rollback(). Whoever
// reads looks at failure() before believing what was found, and whoever writes finds it in the
// outcome of commit(). That leaves the code between free of a check after each statement.
//
// Not thread-safe. Texts and blobs that a row gives live until the next row.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "ferry/base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace ferry::metastore {

/// One execution of a statement. Only one at a time of the same statement.
class Rows {
 public:
  Rows(Rows&& other) noexcept;
  Rows& operator=(Rows&&) = delete;
  ~Rows();

  /// Steps to the next row; false: there is none.
  bool next();

  bool is_null(int column) const;
  bool is_blob(int column) const;
  std::int64_t integer(int column) const;
  std::string_view text(int column) const;  // also of a blob
  int columns() const;
  std::string text_of_any(int column) const;

 private:
  friend class Database;
  Rows(class Database& database, sqlite3_stmt* statement)
      : database_(&database), statement_(statement) {}

  class Database* database_;
  sqlite3_stmt* statement_;  // null: nothing can be had
};

/// Bytes that are no text.
struct Blob {
  std::string_view bytes;
};

class Database {
 public:
  enum class Access : std::uint8_t {
    kRead,    // what is there; its -wal and -shm must be there, too
    kFrozen,  // what is there, while nobody writes it: neither locks nor other files are needed
    kWrite,   // what is there
    kBuild,   // an empty file that is still nobody else's: without locks, journal and syncs
  };

  /// NAME is that of a file in the directory that DIRECTORY_FD holds open, and may not be a link.
  static Result<Database> open(int directory_fd, const std::string& name, Access access);
  /// One of our own that goes with this object.
  static Result<Database> temporary_on_disk();
  static Result<Database> in_memory();

  Database(Database&& other) noexcept;
  Database& operator=(Database&& other) noexcept;
  ~Database();

  /// Runs statements without parameters.
  void execute(const char* sql);

  /// SQL must be a literal: its address is its name among the prepared statements.
  template <typename... Args>
  Rows query(const char* sql, const Args&... args) {
    sqlite3_stmt* statement = prepare(sql);
    int index = 0;
    (bind(statement, ++index, args), ...);
    return Rows(*this, statement);
  }
  template <typename... Args>
  void run(const char* sql, const Args&... args) {
    query(sql, args...).next();
  }
  std::int64_t last_insert_id() const;
  std::int64_t changes() const;  // by the last statement

  /// For reading: one and the same state until end_reading. For writing: also that nobody else
  /// writes meanwhile.
  void begin_reading();
  void end_reading();
  void begin_writing();
  Result<void> commit();
  void rollback();
  bool is_in_transaction() const;

  /// Takes what SOURCE has, in place of everything.
  void copy_from(Database& source);
  /// Moves what commits have left in the -wal file to where it belongs. Others may go on meanwhile.
  void checkpoint();
  /// What the -wal file had, in pages, after the last commit.
  int pages_in_wal() const;
  bool is_read_only() const;

  /// The first one since the last rollback or the beginning. kCorrupt: the file is damaged, or
  /// none; kDenied: it may not be used so; kBusy: somebody else keeps it locked; kIo.
  const std::optional<Error>& failure() const { return failure_; }

 private:
  friend class Rows;
  struct State;
  explicit Database(std::unique_ptr<State> state);

  static Result<Database> open_path(const std::string& path, int flags, const char* pragmas);
  sqlite3_stmt* prepare(const char* sql);
  void bind(sqlite3_stmt* statement, int index, std::int64_t value);
  void bind(sqlite3_stmt* statement, int index, std::string_view text);
  void bind(sqlite3_stmt* statement, int index, Blob blob);
  void bind(sqlite3_stmt* statement, int index, std::nullptr_t);
  template <typename T>
  void bind(sqlite3_stmt* statement, int index, const std::optional<T>& value) {
    if (value) {
      bind(statement, index, *value);
    } else {
      bind(statement, index, nullptr);
    }
  }
  template <typename... Ts>
  void bind(sqlite3_stmt* statement, int index, const std::variant<Ts...>& value) {
    std::visit([&](const auto& alternative) { bind(statement, index, alternative); }, value);
  }
  bool step(sqlite3_stmt* statement);
  void fail(int code);

  std::unique_ptr<State> state_;
  std::optional<Error> failure_;
};

}  // namespace ferry::metastore
