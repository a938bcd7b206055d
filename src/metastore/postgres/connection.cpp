#include "metastore/postgres/connection.h"

#include <libpq-fe.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "ferry/base/text.h"
#include "metastore/postgres/location.h"

namespace ferry::metastore::postgres {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

template <typename Integer>
Integer big_endian(std::string_view bytes) {
  Integer value;
  std::memcpy(&value, bytes.data(), sizeof value);
  if constexpr (std::endian::native == std::endian::little) {
    auto* begin = reinterpret_cast<char*>(&value);
    std::reverse(begin, begin + sizeof value);
  }
  return value;
}

std::string one_line(const char* message) {
  std::string line(message);
  while (!line.empty() && (line.back() == '\n' || line.back() == ' ')) line.pop_back();
  std::ranges::replace(line, '\n', ' ');
  std::ranges::replace(line, '\t', ' ');
  return escape_controls(line);
}

bool is_in(std::string_view sqlstate, std::initializer_list<std::string_view> states) {
  return std::ranges::any_of(states, [&](auto state) { return sqlstate.starts_with(state); });
}

/// PostgreSQL 15, appendix A.
Remedy remedy_for(std::string_view sqlstate) {
  // Serialization, deadlock, another entered the same row.
  if (is_in(sqlstate, {"40", "23505"})) return Remedy::kRepeat;
  // Connection, resources (disk, memory, connections), shut down, starting, read only: a standby
  // that may be promoted.
  if (is_in(sqlstate, {"08", "53", "57P01", "57P02", "57P03", "57P05", "25006", "25P03"})) {
    return Remedy::kWait;
  }
  return Remedy::kNone;
}

ErrorKind kind_for(std::string_view sqlstate) {
  // Locks, cancelled (statement_timeout), connections, and what is repeated too often.
  if (is_in(sqlstate, {"55P03", "57014", "53300", "40", "23505"})) return ErrorKind::kBusy;
  if (is_in(sqlstate, {"28", "42501"})) return ErrorKind::kDenied;
  if (is_in(sqlstate, {"42P01", "42703", "3F000"})) return ErrorKind::kCorrupt;  // no such table
  return ErrorKind::kIo;
}

std::string_view advice_for(std::string_view sqlstate) {
  if (sqlstate == "57014") return "; a statement took longer than the server's statement_timeout";
  if (sqlstate == "25006") return "; a standby or a read-only database cannot be written to";
  if (sqlstate == "53100") return "; the database's disk is full";
  if (sqlstate == "42501") return "; see metastore/postgresql.md for the roles";
  return "";
}

}  // namespace

// Answers.

class Rows::Impl {
 public:
  explicit Impl(PGresult* answer) : result(answer) {}
  ~Impl() { PQclear(result); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  PGresult* result;
};

Rows::Rows(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Rows::Rows(Rows&&) noexcept = default;
Rows& Rows::operator=(Rows&&) noexcept = default;
Rows::~Rows() = default;

std::size_t Rows::count() const {
  return static_cast<std::size_t>(PQntuples(impl_->result));
}

std::size_t Rows::affected() const {
  return std::strtoull(PQcmdTuples(impl_->result), nullptr, 10);
}

bool Rows::is_null(std::size_t row, int column) const {
  return PQgetisnull(impl_->result, static_cast<int>(row), column) != 0;
}

std::string_view Rows::text(std::size_t row, int column) const {
  const int number = static_cast<int>(row);
  return {PQgetvalue(impl_->result, number, column),
          static_cast<std::size_t>(PQgetlength(impl_->result, number, column))};
}

std::int64_t Rows::integer(std::size_t row, int column) const {
  const std::string_view bytes = text(row, column);
  switch (bytes.size()) {
    case 8:
      return big_endian<std::int64_t>(bytes);
    case 4:
      return big_endian<std::int32_t>(bytes);
    case 2:
      return big_endian<std::int16_t>(bytes);
    default:
      return 0;
  }
}

bool Rows::flag(std::size_t row, int column) const {
  const std::string_view bytes = text(row, column);
  return !bytes.empty() && bytes[0] != 0;
}

Timestamp Rows::time(std::size_t row, int column) const {
  const std::chrono::microseconds since_2000(integer(row, column));
  return Timestamp(std::chrono::floor<milliseconds>(since_2000) + milliseconds(kEpochMs));
}

// The connection.

struct Connection::Impl {
  explicit Impl(PGconn* opened, std::string name) : connection(opened), shown(std::move(name)) {}
  ~Impl() { PQfinish(connection); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  PGconn* connection;
  std::string shown;
};

namespace {

/// Drives a connection that was started until it stands or DEADLINE has come.
bool finish_connecting(PGconn* connection, Clock::time_point deadline) {
  for (auto next = PGRES_POLLING_WRITING; next != PGRES_POLLING_OK;
       next = PQconnectPoll(connection)) {
    if (next == PGRES_POLLING_FAILED) return false;
    const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return false;
    pollfd request{PQsocket(connection),
                   static_cast<short>(next == PGRES_POLLING_READING ? POLLIN : POLLOUT), 0};
    if (::poll(&request, 1, static_cast<int>(std::min<std::int64_t>(left, 60'000))) <= 0) {
      if (Clock::now() >= deadline) return false;
    }
  }
  return true;
}

/// A refusal that has no SQLSTATE here, since libpq keeps none of a connection that failed.
bool is_refusal(std::string_view message) {
  for (const std::string_view words :
       {"authentication failed", "no password supplied", "no pg_hba.conf entry", "does not exist",
        "permission denied for database", "invalid connection option", "invalid port number",
        "invalid sslmode value", "certificate", "definition of service", "URI",
        "not permitted to"}) {
    if (message.find(words) != std::string_view::npos) return true;
  }
  return false;
}

constexpr const char* kSession =
    "SET jit = off; SET idle_in_transaction_session_timeout = '60s'; "
    // Whatever the statistics say, and there are none of tables that have just been filled: what we
    // ask for has an index that gives it in order, and is little beside what there is. Plans that
    // fetch more first, to sort or to compare it, are never worth it.
    "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; "
    "SET enable_bitmapscan = off; SET enable_material = off; "
    // A host that is gone frees what it held within half a minute.
    "SET tcp_keepalives_idle = 15; SET tcp_keepalives_interval = 5; "
    "SET tcp_keepalives_count = 3; SET tcp_user_timeout = 30000";

}  // namespace

Connection::Connection(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Connection::~Connection() = default;

Result<std::unique_ptr<Connection>> Connection::open(const std::string& location,
                                                     milliseconds patience, Remedy& remedy) {
  // What stands before dbname gives way to what the location says.
  const std::array<const char*, 9> names{
      "fallback_application_name", "keepalives_idle",  "keepalives_interval",
      "keepalives_count",          "tcp_user_timeout", "client_encoding",
      "connect_timeout",           "dbname",           nullptr};
  const std::string application = fmt::format("ferry {}", ::getpid());
  const std::array<const char*, 9> values{
      application.c_str(), "10", "5", "3", "20000", "UTF8", "10", location.c_str(), nullptr};
  PGconn* started = PQconnectStartParams(names.data(), values.data(), 1);
  const std::string shown = shown_location(location);
  if (started == nullptr) return make_error(ErrorKind::kIo, "metastore {}: out of memory", shown);
  auto impl = std::make_unique<Impl>(started, shown);
  const bool is_up =
      PQstatus(started) != CONNECTION_BAD && finish_connecting(started, Clock::now() + patience);
  if (!is_up) {
    const std::string message = one_line(PQerrorMessage(started));
    const bool is_final = is_refusal(message);
    remedy = is_final ? Remedy::kNone : Remedy::kWait;
    return make_error(is_final ? ErrorKind::kDenied : ErrorKind::kIo, "metastore {}: {}", shown,
                      message.empty() ? "the database does not answer" : message);
  }
  std::unique_ptr<Connection> connection(new Connection(std::move(impl)));
  if (auto set = connection->command(kSession); !set) {
    remedy = connection->remedy();
    return set.error();
  }
  return connection;
}

namespace {

/// PARAMETERS, which outlive it, as libpq takes them.
struct Arguments {
  explicit Arguments(const Parameters& parameters) {
    for (const Value& value : parameters.values()) {
      values.push_back(value.bytes.c_str());
      types.push_back(value.type);
      lengths.push_back(static_cast<int>(value.bytes.size()));
      formats.push_back(value.type == 0 ? 0 : 1);
    }
  }
  int count() const { return static_cast<int>(values.size()); }

  std::vector<const char*> values;
  std::vector<Oid> types;
  std::vector<int> lengths;
  std::vector<int> formats;
};

}  // namespace

Result<Rows> Connection::run(std::string_view sql, const Parameters& parameters) {
  if (auto finished = finish(); !finished) return finished.error();
  const Arguments given(parameters);
  return take(PQexecParams(impl_->connection, std::string(sql).c_str(), given.count(),
                           given.types.data(), given.values.data(), given.lengths.data(),
                           given.formats.data(), 1));
}

Result<void> Connection::send(std::string_view sql, const Parameters& parameters) {
  if (!is_pipelined_ && PQenterPipelineMode(impl_->connection) == 0) return take(nullptr).error();
  is_pipelined_ = true;
  const Arguments given(parameters);
  const int sent = PQsendQueryParams(impl_->connection, std::string(sql).c_str(), given.count(),
                                     given.types.data(), given.values.data(), given.lengths.data(),
                                     given.formats.data(), 1);
  return sent == 0 ? take(nullptr).error() : Result<void>();
}

/// libpq: each answer ends with none, all of them with that to the sync; after a failure there are
/// only answers that say so.
Result<void> Connection::finish() {
  if (!is_pipelined_) return {};
  is_pipelined_ = false;
  std::optional<Error> failure;
  const auto note = [&](void* answer) {
    const auto taken = take(answer);
    if (!taken && !failure) failure = taken.error();
  };
  if (PQpipelineSync(impl_->connection) == 0) note(nullptr);
  for (int silent = 0; silent < 2;) {
    PGresult* answer = PQgetResult(impl_->connection);
    silent = answer == nullptr ? silent + 1 : 0;
    if (answer == nullptr) continue;
    const auto status = PQresultStatus(answer);
    if (status == PGRES_PIPELINE_SYNC || status == PGRES_PIPELINE_ABORTED) {
      PQclear(answer);
    } else {
      note(answer);
    }
    if (status == PGRES_PIPELINE_SYNC) break;
  }
  if (PQexitPipelineMode(impl_->connection) == 0 && !failure) note(nullptr);
  return failure ? Result<void>(*failure) : Result<void>();
}

Result<Rows> Connection::command(const std::string& sql) {
  if (auto finished = finish(); !finished) return finished.error();
  return take(PQexec(impl_->connection, sql.c_str()));
}

Result<Rows> Connection::take(void* answer) {
  auto* result = static_cast<PGresult*>(answer);
  const auto status = PQresultStatus(result);
  if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_EMPTY_QUERY) {
    return Rows(std::make_unique<Rows::Impl>(result));
  }
  const char* state = result == nullptr ? nullptr : PQresultErrorField(result, PG_DIAG_SQLSTATE);
  sqlstate_ = state == nullptr ? "" : state;
  const char* primary =
      result == nullptr ? nullptr : PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  const std::string message =
      one_line(primary == nullptr ? PQerrorMessage(impl_->connection) : primary);
  remedy_ = is_lost() ? Remedy::kWait : remedy_for(sqlstate_);
  const ErrorKind kind = kind_for(sqlstate_);
  PQclear(result);
  return make_error(kind, "metastore {}: {}{}", impl_->shown, message, advice_for(sqlstate_));
}

bool Connection::is_lost() const {
  return PQstatus(impl_->connection) == CONNECTION_BAD;
}

int Connection::socket() const {
  return PQsocket(impl_->connection);
}

bool Connection::consume() {
  return PQconsumeInput(impl_->connection) != 0 && !is_lost();
}

bool Connection::ask() {
  return PQsendQuery(impl_->connection, "SELECT 1") != 0;
}

bool Connection::is_waiting() {
  while (PQisBusy(impl_->connection) == 0) {
    PGresult* answer = PQgetResult(impl_->connection);
    if (answer == nullptr) return false;
    PQclear(answer);
  }
  return true;
}

bool Connection::take_notices() {
  bool any = false;
  while (PGnotify* notice = PQnotifies(impl_->connection)) {
    PQfreemem(notice);
    any = true;
  }
  return any;
}

}  // namespace ferry::metastore::postgres
