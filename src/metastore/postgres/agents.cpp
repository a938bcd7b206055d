#include "metastore/postgres/agents.h"

#include <poll.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <thread>

#include "ferry/base/event_fd.h"
#include "ferry/base/fd.h"
#include "ferry/base/log.h"
#include "ferry/base/uuid.h"

namespace ferry::metastore::postgres {
namespace {

/// How often an agent hears its server, and for how long it trusts one that it does not hear: less
/// long than others wait before they take it for dead (see living_agents).
constexpr std::chrono::milliseconds kHeartbeat{2'000};
constexpr std::int64_t kTrustMs = 10'000;

/// Goes on while the machine sleeps.
std::int64_t boot_ms() {
  timespec time{};
  ::clock_gettime(CLOCK_BOOTTIME, &time);
  return time.tv_sec * 1'000 + time.tv_nsec / 1'000'000;
}

std::string new_agent_name() {
  std::array<char, 65> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0 || host[0] == '\0') host = {"host"};
  // The end of a version 7 UUID is random.
  return fmt::format("{}-{}-{}", host.data(), ::getpid(), uuid_v7().substr(28));
}

/// How long one try takes to get a session again, and whoever leaves meanwhile has to wait.
constexpr std::chrono::milliseconds kReconnect{1'000};
constexpr std::chrono::milliseconds kPause{200};

/// The row is seen by others once it is locked.
constexpr const char* kEnter =
    "WITH self AS (INSERT INTO agents (name) VALUES ($1) RETURNING number) "
    "SELECT pg_advisory_lock(ferry_lock_space(), number) FROM self";

/// As long as nobody can have taken it for dead: with some time for what they do, who think so.
/// The lock of a session that the server still believes in is not the agent's any more.
constexpr const char* kComeBack =
    "WITH self AS (UPDATE agents SET number = DEFAULT, missed_since = NULL WHERE name = $1 AND "
    "coalesce(missed_since, 'infinity') > clock_timestamp() - interval '10 seconds' RETURNING "
    "number) SELECT pg_advisory_lock(ferry_lock_space(), number) FROM self";

/// Returns how many agents got their lock: none or one.
Result<std::size_t> enter(Connection& connection, const char* sql, const std::string& name) {
  Parameters self;
  self.add(name);
  if (auto begun = connection.command("BEGIN; SET LOCAL statement_timeout = '3s'"); !begun) {
    return begun.error();
  }
  const auto entered = connection.run(sql, self);
  if (!entered) return entered.error();
  const auto committed = connection.command("COMMIT");
  if (!committed) return committed.error();
  return entered->count();
}

class Session : public AgentPresence {
 public:
  Session(std::string location, std::unique_ptr<Connection> connection, std::string name,
          std::int64_t joined_ms)
      : location_(std::move(location)),
        connection_(std::move(connection)),
        name_(std::move(name)),
        confirmed_(joined_ms),
        lost_(make_event_fd()),
        stop_(make_event_fd()),
        heart_([this] { live(); }) {}
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session() override {
    signal(stop_);
    heart_.join();
    if (!connection_ || is_waiting_) return;  // the server notices by itself
    // The claims are free when this returns, and not when the server notices.
    Parameters self;
    self.add(name_);
    [[maybe_unused]] const auto left = connection_->run("DELETE FROM agents WHERE name = $1", self);
    [[maybe_unused]] const auto freed = connection_->command("SELECT pg_advisory_unlock_all()");
  }

  const std::string& name() const override { return name_; }

  Tenure tenure() const override {
    if (is_lost_) return Tenure::kLost;
    return boot_ms() - confirmed_ < kTrustMs ? Tenure::kHeld : Tenure::kUnsure;
  }
  int lost_fd() const override { return lost_.get(); }

 private:
  static void signal(const UniqueFd& event) {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(event.get(), &one, sizeof one);
  }

  enum class Heard : std::uint8_t { kNothing, kSomething, kStop };
  Heard wait(std::chrono::milliseconds patience) {
    std::array<pollfd, 2> waits{pollfd{stop_.get(), POLLIN, 0},
                                pollfd{connection_ ? connection_->socket() : -1, POLLIN, 0}};
    const int ready = ::poll(waits.data(), waits.size(), static_cast<int>(patience.count()));
    if (ready > 0 && waits[0].revents != 0) return Heard::kStop;
    return ready > 0 ? Heard::kSomething : Heard::kNothing;
  }

  /// On its own thread, which alone uses the connection meanwhile.
  void live() {
    while (beat() && come_back()) {
    }
  }

  /// Until the session has ended; false: until we leave. Never waits for a server that does not
  /// answer.
  bool beat() {
    for (;;) {
      if (wait(kHeartbeat) == Heard::kStop) return false;
      const std::int64_t asked = boot_ms();
      if (!connection_->consume() || !connection_->ask()) return true;
      for (is_waiting_ = true; is_waiting_; is_waiting_ = connection_->is_waiting()) {
        if (wait(kHeartbeat) == Heard::kStop) return false;
        if (!connection_->consume()) return true;
      }
      if (connection_->is_lost()) return true;
      confirmed_ = asked;
    }
  }

  /// False: it cannot, since others may have taken it for dead; or we leave.
  bool come_back() {
    connection_.reset();
    is_waiting_ = false;
    log::info("agent lost its session, and looks for its server", {{"agent", name_}});
    while (wait(kPause) != Heard::kStop) {
      const std::int64_t asked = boot_ms();
      Remedy remedy = Remedy::kNone;
      auto connection = Connection::open(location_, kReconnect, remedy);
      if (!connection) continue;
      const auto entered = enter(**connection, kComeBack, name_);
      if (!entered) continue;
      if (*entered == 0) {
        lose();
        return false;
      }
      connection_ = std::move(*connection);
      confirmed_ = asked;
      return true;
    }
    return false;
  }

  void lose() {
    is_lost_ = true;
    signal(lost_);
    log::warning("agent was away for too long: its claims are no longer its own",
                 {{"agent", name_}});
  }

  const std::string location_;
  std::unique_ptr<Connection> connection_;  // null: there is none
  const std::string name_;
  std::atomic<std::int64_t> confirmed_;  // ms of boot_ms
  std::atomic<bool> is_lost_ = false;
  bool is_waiting_ = false;  // of the thread, and of the destructor after it
  UniqueFd lost_;
  UniqueFd stop_;
  std::thread heart_;
};

Result<std::unique_ptr<AgentPresence>> try_to_present(Database& database, const std::string& name,
                                                      Remedy& remedy) {
  const std::int64_t joined = boot_ms();
  auto connection = Connection::open(database.location(), database.patience(), remedy);
  if (!connection) return connection.error();
  if (auto entered = enter(**connection, kEnter, name); !entered) {
    remedy = (*connection)->remedy();
    return entered.error();
  }
  return std::make_unique<Session>(database.location(), std::move(*connection), name, joined);
}

Result<std::unique_ptr<AgentPresence>> present(Database& database, const std::string& name) {
  const auto deadline = std::chrono::steady_clock::now() + database.patience();
  for (bool is_told = false;; is_told = true) {
    Remedy remedy = Remedy::kNone;
    auto presence = try_to_present(database, name, remedy);
    const bool may_pass = !presence && remedy == Remedy::kWait;
    if (!may_pass || std::chrono::steady_clock::now() + kPause >= deadline) return presence;
    if (!is_told) {
      log::warning("database not available, trying again", {{"error", presence.error().message}});
    }
    std::this_thread::sleep_for(kPause);
  }
}

/// Removes its row. False if somebody holds its lock.
Result<bool> bury(Database& database, const std::string& name) {
  bool is_running = false;
  auto done = database.write([&](Connection& connection) -> Result<void> {
    Parameters agent;
    agent.add(name);
    const auto holders =
        connection.run("SELECT FROM living_agents WHERE name = $1 AND has_lock", agent);
    if (!holders) return holders.error();
    is_running = holders->count() > 0;
    if (is_running) return {};
    const auto buried = connection.run("DELETE FROM agents WHERE name = $1", agent);
    return buried ? Result<void>() : buried.error();
  });
  if (!done) return done.error();
  return !is_running;
}

}  // namespace

Result<std::unique_ptr<AgentPresence>> make_presence(Database& database) {
  if (auto tidied = tidy_agents(database); !tidied) return tidied.error();
  return present(database, new_agent_name());
}

/// A server that has not noticed yet that the agent has gone does so by its keepalives.
Result<std::unique_ptr<AgentPresence>> make_presence_of(Database& database,
                                                        const std::string& name) {
  const auto deadline = std::chrono::steady_clock::now() + database.patience();
  for (;;) {
    const auto buried = bury(database, name);
    if (!buried) {
      Error error = buried.error();
      // A database that was busy does not say that the agent runs.
      if (error.kind == ErrorKind::kBusy) error.kind = ErrorKind::kIo;
      return error;
    }
    if (*buried) return present(database, name);
    if (std::chrono::steady_clock::now() >= deadline) {
      return make_error(ErrorKind::kBusy, "agent {} is running", name);
    }
    std::this_thread::sleep_for(kPause);
  }
}

Result<void> tidy_agents(Database& database) {
  return database.write([](Connection& connection) -> Result<void> {
    const auto done = connection.command(
        "UPDATE agents SET missed_since = clock_timestamp() WHERE number IN (SELECT number FROM "
        "agents JOIN living_agents USING (name) WHERE NOT has_lock AND missed_since IS NULL FOR "
        "UPDATE OF agents SKIP LOCKED);"
        "DELETE FROM agents WHERE number IN (SELECT number FROM agents WHERE name NOT IN (SELECT "
        "name FROM living_agents) FOR UPDATE SKIP LOCKED)");
    return done ? Result<void>() : done.error();
  });
}

Result<Liveness> Liveness::look(Connection& connection) {
  const auto rows = connection.run(
      "SELECT name, NOT has_lock AND missed_since IS NULL AND NOT pg_is_in_recovery() FROM agents "
      "JOIN living_agents USING (name)");
  if (!rows) return rows.error();
  Liveness liveness;
  for (std::size_t i = 0; i < rows->count(); ++i) {
    liveness.living_.emplace(rows->text(i, 0));
    liveness.is_untidy_ = liveness.is_untidy_ || rows->flag(i, 1);
  }
  return liveness;
}

}  // namespace ferry::metastore::postgres
