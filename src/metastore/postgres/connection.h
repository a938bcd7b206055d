// One session with a PostgreSQL server, by libpq.
//
// Answers come in binary. Not thread-safe. No text of an error has a
// password: libpq does not put it there, and locations that have one are refused.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ferry/base/result.h"
#include "ferry/base/time.h"
#include "metastore/postgres/parameters.h"

namespace ferry::metastore::postgres {

/// What a caller can do about a statement that failed.
enum class Remedy : std::uint8_t {
  kNone,    // it would fail again
  kRepeat,  // the transaction met another one: begin it anew
  kWait,    // the server is gone, full, or starting: try again later, on another connection
};

/// An answer; rows and columns count from 0.
class Rows {
 public:
  class Impl;
  explicit Rows(std::unique_ptr<Impl> impl);
  Rows(Rows&&) noexcept;
  Rows& operator=(Rows&&) noexcept;
  ~Rows();

  std::size_t count() const;
  /// Rows that a command changed.
  std::size_t affected() const;
  bool is_null(std::size_t row, int column) const;
  std::int64_t integer(std::size_t row, int column) const;  // smallint, integer, bigint
  bool flag(std::size_t row, int column) const;
  Timestamp time(std::size_t row, int column) const;         // timestamptz
  std::string_view text(std::size_t row, int column) const;  // null: empty

 private:
  std::unique_ptr<Impl> impl_;
};

class Connection {
 public:
  /// LOCATION: as in location.h. Takes PATIENCE at most. What cannot be reached now, but perhaps
  /// later, has the remedy kWait in REMEDY.
  static Result<std::unique_ptr<Connection>> open(const std::string& location,
                                                  std::chrono::milliseconds patience,
                                                  Remedy& remedy);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// One statement.
  Result<Rows> run(std::string_view sql, const Parameters& parameters = {});
  /// One or several without parameters; the answer is that of the last one.
  Result<Rows> command(const std::string& sql);
  /// One statement whose rows do not matter: it is on its way, and the server works on it while the
  /// next is made. Whatever is called next of RUN, COMMAND and FINISH tells if it failed.
  Result<void> send(std::string_view sql, const Parameters& parameters = {});
  /// Waits for what was sent.
  Result<void> finish();
  /// Of the last statement that failed since FORGET_FAILURE.
  Remedy remedy() const { return remedy_; }
  const std::string& sqlstate() const { return sqlstate_; }
  void forget_failure() {
    remedy_ = Remedy::kNone;
    sqlstate_.clear();
  }
  bool is_lost() const;
  int socket() const;

  // For those who do not wait for the server, or for what it says without having been asked.

  /// Reads what is there; false: the connection is lost.
  bool consume();
  /// Asks for a sign of life; false: the connection is lost.
  bool ask();
  /// Whether what was asked has not been answered yet. To be called after consume.
  bool is_waiting();
  /// Forgets the notices that have been read; true if there were any.
  bool take_notices();

 private:
  struct Impl;
  explicit Connection(std::unique_ptr<Impl> impl);
  Result<Rows> take(void* answer);  // a PGresult, whose name only one .cpp knows

  std::unique_ptr<Impl> impl_;
  bool is_pipelined_ = false;  // something was sent, and not waited for
  Remedy remedy_ = Remedy::kNone;
  std::string sqlstate_;
};

}  // namespace ferry::metastore::postgres
