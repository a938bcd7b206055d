#include "metastore/postgres/database.h"

#include <algorithm>
#include <random>
#include <thread>

#include "ferry/base/log.h"
#include "metastore/postgres/location.h"

namespace ferry::metastore::postgres {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFirstPause{20};
constexpr milliseconds kLongestPause{2'000};
constexpr std::size_t kIdleConnections = 4;

/// Grows, and differs between those who lost the same server.
class BackOff {
 public:
  milliseconds next() {
    static thread_local std::minstd_rand random{std::random_device{}()};
    const auto pause = pause_;
    pause_ = std::min(pause_ * 2, kLongestPause);
    return milliseconds(
        std::uniform_int_distribution<std::int64_t>(pause.count() / 2, pause.count())(random));
  }

 private:
  milliseconds pause_ = kFirstPause;
};

}  // namespace

Database::Database(std::string location, milliseconds patience)
    : location_(std::move(location)), patience_(patience) {}

Result<std::unique_ptr<Connection>> Database::take(Clock::time_point deadline, Remedy& remedy) {
  {
    const std::scoped_lock guard(mutex_);
    if (!idle_.empty()) {
      auto connection = std::move(idle_.back());
      idle_.pop_back();
      return connection;
    }
  }
  const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
  return Connection::open(location_, std::max(left, milliseconds(1'000)), remedy);
}

void Database::give_back(std::unique_ptr<Connection> connection) {
  if (connection->is_lost()) return;
  const std::scoped_lock guard(mutex_);
  if (idle_.size() < kIdleConnections) idle_.push_back(std::move(connection));
}

Result<void> Database::repeat(Kind kind, const Step& step) {
  const auto deadline = Clock::now() + patience_;
  BackOff back_off;
  bool is_told = false;
  for (;;) {
    Attempt done = attempt(kind, step, deadline);
    if (done.outcome || done.remedy == Remedy::kNone) return std::move(done.outcome);
    const auto pause = back_off.next();
    if (Clock::now() + pause >= deadline) return std::move(done.outcome);
    if (done.remedy == Remedy::kWait) {
      // Those that were idle are as dead as this one, most likely.
      const std::scoped_lock guard(mutex_);
      idle_.clear();
    }
    if (done.remedy == Remedy::kWait && !is_told) {
      log::warning("database not available, trying again",
                   {{"error", done.outcome.error().message}});
      is_told = true;
    }
    std::this_thread::sleep_for(pause);
  }
}

Database::Attempt Database::attempt(Kind kind, const Step& step, Clock::time_point deadline) {
  Remedy remedy = Remedy::kNone;
  auto taken = take(deadline, remedy);
  if (!taken) return {taken.error(), remedy};
  std::unique_ptr<Connection> connection = std::move(*taken);
  const std::string begin =
      fmt::format("BEGIN ISOLATION LEVEL {}; SET LOCAL lock_timeout = {}; SELECT {}",
                  kind == Kind::kRead ? "REPEATABLE READ READ ONLY" : "READ COMMITTED",
                  std::max<std::int64_t>(patience_.count(), 1),
                  kind == Kind::kRead ? "''" : "pg_current_xact_id()::text");
  connection->forget_failure();
  const auto begun = connection->command(begin);
  if (!begun) return {begun.error(), connection->remedy()};
  const std::string number(begun->text(0, 0));
  auto done = step(*connection);
  if (auto finished = connection->finish(); done && !finished) done = finished;
  if (!done) {
    remedy = connection->remedy();
    const auto ended = connection->command("ROLLBACK");
    if (ended) give_back(std::move(connection));
    return {std::move(done), remedy};
  }
  Attempt committed = commit(*connection, number, deadline);
  give_back(std::move(connection));
  return committed;
}

Database::Attempt Database::commit(Connection& connection, const std::string& number,
                                   Clock::time_point deadline) {
  const auto done = connection.command("COMMIT");
  if (done) return {{}, Remedy::kNone};
  if (!connection.is_lost() || number.empty()) return {done.error(), connection.remedy()};
  const auto committed = is_committed(number, deadline);
  if (!committed) return {committed.error(), Remedy::kNone};
  if (*committed) return {{}, Remedy::kNone};
  return {done.error(), Remedy::kWait};
}

/// Asks until the server knows.
Result<bool> Database::is_committed(const std::string& number, Clock::time_point deadline) {
  BackOff back_off;
  Error failure;
  for (;;) {
    Remedy remedy = Remedy::kNone;
    auto connection = Connection::open(location_, milliseconds(5'000), remedy);
    if (connection) {
      const auto answer =
          (*connection)->run("SELECT pg_xact_status($1::xid8)", Parameters().add(number));
      // A standby that took over has never heard of it.
      if (!answer && (*connection)->sqlstate() == "22023") return false;
      if (answer && answer->text(0, 0) == "committed") return true;
      if (answer && answer->text(0, 0) == "aborted") return false;
      failure = answer ? make_error(ErrorKind::kBusy, "transaction {} has not ended", number)
                       : answer.error();
    } else {
      failure = connection.error();
    }
    const auto pause = back_off.next();
    if (Clock::now() + pause >= deadline) {
      return failure.with_context("nobody can tell whether the transaction was committed");
    }
    std::this_thread::sleep_for(pause);
  }
}

}  // namespace ferry::metastore::postgres
