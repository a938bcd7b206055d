// Transactions in a database that may go away, and come back, at any time.
//
// What the server or the line is to blame for is tried again with back-off, for as long as the
// patience lasts. A transaction of which the answer to COMMIT was lost is asked for by its number
// (pg_xact_status): nothing is done twice, and nothing is taken for done that is not.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "metastore/postgres/connection.h"

namespace ferry::metastore::postgres {

/// Thread-safe. Each transaction has a connection to itself.
class Database {
 public:
  Database(std::string location, std::chrono::milliseconds patience);

  const std::string& location() const { return location_; }
  std::chrono::milliseconds patience() const { return patience_; }

  /// Runs WORK(connection), which returns a Result, in a transaction that sees what others commit
  /// meanwhile. WORK may be run more than once; an error of its own ends the transaction.
  template <typename Work>
  auto write(Work work) -> std::invoke_result_t<Work, Connection&> {
    return transact<Work>(Kind::kWrite, work);
  }
  /// The same in one that sees the state in which it began, and changes nothing.
  template <typename Work>
  auto read(Work work) -> std::invoke_result_t<Work, Connection&> {
    return transact<Work>(Kind::kRead, work);
  }

 private:
  using Clock = std::chrono::steady_clock;
  using Step = std::function<Result<void>(Connection&)>;
  enum class Kind : std::uint8_t { kRead, kWrite };
  struct Attempt {
    Result<void> outcome;
    Remedy remedy = Remedy::kNone;
  };

  template <typename Work>
  auto transact(Kind kind, Work& work) -> std::invoke_result_t<Work, Connection&>;
  Result<void> repeat(Kind kind, const Step& step);
  Attempt attempt(Kind kind, const Step& step, Clock::time_point deadline);
  Attempt commit(Connection& connection, const std::string& number, Clock::time_point deadline);
  Result<bool> is_committed(const std::string& number, Clock::time_point deadline);

  Result<std::unique_ptr<Connection>> take(Clock::time_point deadline, Remedy& remedy);
  void give_back(std::unique_ptr<Connection> connection);

  const std::string location_;
  const std::chrono::milliseconds patience_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Connection>> idle_;
};

template <typename Work>
auto Database::transact(Kind kind, Work& work) -> std::invoke_result_t<Work, Connection&> {
  std::optional<std::invoke_result_t<Work, Connection&>> answer;
  const auto done = repeat(kind, [&](Connection& connection) -> Result<void> {
    answer.emplace(work(connection));
    return *answer ? Result<void>() : Result<void>(answer->error());
  });
  if (!done) return done.error();
  return *std::move(answer);
}

}  // namespace ferry::metastore::postgres
