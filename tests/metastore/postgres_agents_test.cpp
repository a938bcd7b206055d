// Agents of a store in PostgreSQL: their sessions, and what they hold, also when they race.
#ifdef FERRY_POSTGRESQL
#include <poll.h>

#include <atomic>
#include <mutex>
#include <set>
#include <thread>

#include "database_fixture.h"

namespace ferry::metastore {
namespace {

using testing::DatabaseFixture;
using testing::found;
using testing::is_missing;
using testing::kLandingArea;
using testing::kTo;
using testing::must;
using testing::Standings;
using testing::wait_until;
using enum TransferStatus;
using Tenure = AgentPresence::Tenure;

/// Of agents, as an administrator ends them.
std::string end_sessions() {
  return "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objsubid "
         "= 2 AND classid = 'agents'::regclass::oid";
}

DATABASE_TEST("an agent whose session ends keeps its claims, and comes back") {
  auto store = open();
  const auto id = put(*store, found("x", "1")).id;
  const auto agent = must(store->join());
  const auto other = must(store->join());
  REQUIRE(claim(*store, *agent, {id}).size() == 1);
  const auto sessions = [&] { return sql("SELECT count(*) FROM living_agents WHERE has_lock"); };
  REQUIRE(sessions() == "2");
  sql(end_sessions());
  CHECK(claim(*store, *other, {id}).empty());
  wait_until([&] { return sessions() == "2"; });
  CHECK(agent->tenure() == Tenure::kHeld);
  CHECK(other->tenure() == Tenure::kHeld);
  CHECK(claim(*store, *other, {id}).empty());
  append(*store, row(id, kSuccessful));
}

DATABASE_TEST("an agent that was taken for dead knows it, and its claims are free") {
  auto store = open();
  const auto id = put(*store, found("x", "1")).id;
  const auto agent = must(store->join());
  REQUIRE(claim(*store, *agent, {id}).size() == 1);
  SUBCASE("long ago") {
    sql("DELETE FROM agents");
  }
  SUBCASE("just now") {
    sql("UPDATE agents SET missed_since = now() - interval '15 seconds'");
  }
  SUBCASE("perhaps: others are about to") {
    sql("UPDATE agents SET missed_since = now() - interval '12 seconds'");
  }
  sql(end_sessions());
  pollfd wait{agent->lost_fd(), POLLIN, 0};
  REQUIRE(::poll(&wait, 1, 60'000) == 1);
  CHECK(agent->tenure() == Tenure::kLost);
  sql("UPDATE agents SET missed_since = now() - interval '15 seconds'");
  CHECK(store->claim(request(*agent, {id})).error().kind == ErrorKind::kBusy);
  const auto other = must(store->join());
  CHECK(claim(*store, *other, {id}).size() == 1);
}

DATABASE_TEST("an agent that does not hear its server is not sure of its claims") {
  auto store = open();
  auto agent = must(store->join());
  const int session = std::stoi(
      sql("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND classid = "
          "'agents'::regclass::oid"));
  ::kill(session, SIGSTOP);
  wait_until([&] { return agent->tenure() == Tenure::kUnsure; });
  SUBCASE("until it hears it again") {
    ::kill(session, SIGCONT);
    wait_until([&] { return agent->tenure() == Tenure::kHeld; });
  }
  SUBCASE("and does not wait for it when it leaves") {
    agent.reset();
    ::kill(session, SIGCONT);
    wait_until([&] { return sql("SELECT count(*) FROM living_agents WHERE has_lock") == "0"; });
  }
}

DATABASE_TEST("claims outlive an agent for a while, which may not have noticed that it is missed") {
  auto store = open();
  const auto id = put(*store, found("x", "1")).id;
  const pid_t child = testing::in_child([&] {
    const auto own = backend->open(options());
    const auto agent = own ? (*own)->join() : own.error();
    if (!agent || claim(**own, **agent, {id}).size() != 1) return 1;
    ::raise(SIGKILL);
    return 2;
  });
  REQUIRE(testing::exit_code(child) == 128 + SIGKILL);
  wait_until([&] { return sql("SELECT count(*) FROM living_agents WHERE has_lock") == "0"; });
  const auto other = must(store->join());
  CHECK(claim(*store, *other, {id}).empty());
  CHECK(standings(*store) == Standings{{"x", {"in_progress"}}});
  CHECK(sql("SELECT count(*) FROM agents WHERE missed_since IS NOT NULL") == "1");
  sql("UPDATE agents SET missed_since = missed_since - interval '15 seconds'");
  CHECK(claim(*store, *other, {id}).size() == 1);
}

DATABASE_TEST("whoever takes a dead agent's place waits until the server has noticed its death") {
  auto store = open();
  auto agent = must(store->join());
  const std::string name = agent->name();
  Options patient = options();
  patient.lock_timeout = std::chrono::seconds(30);
  auto own = must(backend->open(patient));
  std::unique_ptr<AgentPresence> successor;
  std::thread waiting([&] { successor = must(own->join_as(name)); });
  sql("SELECT pg_sleep(0.3)");
  CHECK(successor == nullptr);
  agent.reset();
  waiting.join();
  CHECK(successor->name() == name);
}

/// A claim that somebody has begun: the file's row is locked, and its delivery entered.
class OpenClaim {
 public:
  OpenClaim(const DatabaseFixture& fixture, const std::string& id) : fixture_(fixture) {
    auto remedy = postgres::Remedy::kNone;
    connection_ =
        must(postgres::Connection::open(fixture.location(), std::chrono::seconds(30), remedy));
    run("BEGIN");
    run(fmt::format("SELECT FROM files WHERE id = '{}' FOR UPDATE", id));
    id_ = id;
  }
  void commit(const std::string& agent) {
    run(
        fmt::format("INSERT INTO deliveries SELECT number, '{}', 'in_progress', now(), now(), "
                    "NULL, 1, 0, 0, '{}', '', '', '', 0 FROM files WHERE id = '{}'",
                    kTo, agent, id_));
    run("COMMIT");
  }
  /// Until somebody else wants the lock.
  void wait_for_others() const {
    wait_until(
        [&] { return fixture_.sql("SELECT count(*) FROM pg_locks WHERE NOT granted") != "0"; });
  }

 private:
  void run(const std::string& text) {
    const auto done = connection_->command(text);
    if (!done) FAIL(done.error().message);
  }

  const DatabaseFixture& fixture_;
  std::unique_ptr<postgres::Connection> connection_;
  std::string id_;
};

DATABASE_TEST("a claim that was made while another one waited is seen, though its agent is new") {
  auto store = open();
  const auto id = put(*store, found("x", "1")).id;
  const auto agent = must(store->join());
  OpenClaim first(*this, id);
  std::vector<Claim> second;
  std::thread waiting([&] { second = claim(*store, *agent, {id}); });
  first.wait_for_others();
  auto other = open();
  const auto newcomer = must(other->join());
  first.commit(newcomer->name());
  waiting.join();
  CHECK(second.empty());
}

DATABASE_TEST("no version is claimed while somebody claims another") {
  auto store = open();
  FileRecord older = found("x", "1");
  older.id = "older";
  FileRecord newer = found("x", "2");
  newer.id = "newer";
  must(store->import_files({older, newer}));  // none supersedes the other
  const auto agent = must(store->join());
  const auto holder = must(store->join());
  OpenClaim first(*this, "older");
  std::vector<Claim> second;
  ClaimRequest next = request(*agent);
  SUBCASE("by its id") {
    next.ids = {"newer"};
  }
  SUBCASE("by a query") {}
  std::thread waiting([&] { second = must(store->claim(next)); });
  first.wait_for_others();
  first.commit(holder->name());
  waiting.join();
  CHECK(second.empty());
}

/// What agents hold, as they know it themselves.
class Holdings {
 public:
  /// False: somebody has it, or another version of it.
  bool take(const std::string& path) {
    const std::scoped_lock guard(mutex_);
    return held_.insert(path).second;
  }
  void leave(const std::string& path) {
    const std::scoped_lock guard(mutex_);
    held_.erase(path);
  }

 private:
  std::mutex mutex_;
  std::set<std::string> held_;
};

DATABASE_TEST("racing agents never hold the same file, nor two versions of a path") {
  constexpr int kPaths = 60;
  auto store = open();
  Holdings holdings;
  std::atomic<int> collisions = 0;
  std::atomic<int> errors = 0;
  std::atomic<int> delivered = 0;
  std::atomic<bool> is_over = false;
  const auto work = [&](unsigned seed) {
    auto own = must(backend->open(options()));
    auto agent = must(own->join());
    for (int round = 0; !is_over || round < 3; ++round) {
      ClaimRequest some = request(*agent);
      some.query.limit = 1 + (seed + static_cast<unsigned>(round)) % 7;
      const auto claims = own->claim(some);
      errors += !claims;
      if (!claims) continue;
      std::vector<TransferRecord> rows;
      for (const Claim& one : *claims) {
        collisions += !holdings.take(one.file.path);
        const bool fails = round % 5 == 0;
        rows.push_back(row(one.file.id, fails ? kFailed : kSuccessful, one.attempt));
        rows.back().agent = agent->name();
        delivered += !fails;
      }
      for (const Claim& one : *claims) holdings.leave(one.file.path);
      errors += !own->append_transfers(rows);
      if (round % 11 == 10) agent = must(own->join());
    }
  };
  std::vector<std::thread> agents;
  for (unsigned i = 0; i < 5; ++i) agents.emplace_back(work, i);
  std::vector<std::thread> watchers;
  for (int w = 0; w < 2; ++w) {
    watchers.emplace_back([&] {
      for (int version = 0; version < 6; ++version) {
        std::vector<FileRecord> seen;
        for (int i = 0; i < kPaths; ++i) {
          seen.push_back(found(std::to_string(i), std::to_string(version)));
        }
        errors += !store->register_files(seen);
        const std::vector<std::string> some{"1", "2", "3"};
        errors += !store->mark_missing(kLandingArea, some, "gone");
      }
    });
  }
  for (auto& thread : watchers) thread.join();
  is_over = true;
  for (auto& thread : agents) thread.join();
  CHECK(collisions == 0);
  CHECK(errors == 0);
  CHECK(std::stoi(sql("SELECT count(*) FROM transfer_logs WHERE transfer_status = 'successful'")) ==
        delivered);
  CHECK(sql("SELECT count(*) FROM (SELECT id FROM transfer_logs WHERE transfer_status = "
            "'successful' GROUP BY id HAVING count(*) > 1) d") == "0");
  check_derived(*store);
}

/// Delivers what is pending until nothing is; 0: nothing went wrong.
int drain(const testing::Backend& place) {
  const auto store = place.open(testing::Vocabulary::options());
  if (!store) return 1;
  for (;;) {
    const auto agent = (*store)->join();
    if (!agent) return 2;
    while ((*agent)->tenure() == Tenure::kHeld) {
      ClaimRequest some = testing::Vocabulary::request(**agent);
      some.query.limit = 10;
      const auto claims = (*store)->claim(some);
      if (!claims) return 3;
      const auto is_pending = (*store)->is_pending();
      if (!is_pending) return 4;
      if (!*is_pending) return 0;
      std::vector<TransferRecord> rows;
      for (const Claim& one : *claims) {
        rows.push_back(testing::Vocabulary::row(one.file.id, kSuccessful, one.attempt));
        rows.back().agent = (*agent)->name();
      }
      // It asks before it records, as before anything that others would see; and while it waits for
      // the server it may lose what it had.
      if ((*agent)->tenure() != Tenure::kHeld) break;
      if (!rows.empty() && !(*store)->append_unless_held(rows)) return 5;
    }
  }
}

DATABASE_TEST("agents that are killed, and a server that restarts, deliver each file once") {
  constexpr int kFiles = 3'000;
  {
    auto store = open();
    std::vector<FileRecord> all;
    for (int i = 0; i < kFiles; ++i) all.push_back(found(std::to_string(i), "1"));
    must(store->register_files(all));
  }
  std::vector<pid_t> fleet;
  for (int i = 0; i < 6; ++i) fleet.push_back(testing::in_child([&] { return drain(*backend); }));
  const auto successes = [&] {
    return std::stoi(
        sql("SELECT count(*) FROM transfer_logs WHERE transfer_status = 'successful'"));
  };
  for (int event = 1; event <= 6; ++event) {
    wait_until([&] { return successes() >= kFiles / 10 * event; });
    pid_t& victim = fleet[static_cast<std::size_t>(event) % fleet.size()];
    ::kill(victim, SIGKILL);
    testing::exit_code(victim);
    victim = testing::in_child([&] { return drain(*backend); });
    if (event % 3 != 0) continue;
    server.stop(event == 3 ? SIGQUIT : SIGINT);
    server.start();
  }
  for (const pid_t agent : fleet) CHECK(testing::exit_code(agent) == 0);
  CHECK(successes() == kFiles);
  CHECK(sql("SELECT count(DISTINCT id) FROM transfer_logs WHERE transfer_status = 'successful'") ==
        std::to_string(kFiles));
  check_derived(*open());
}

}  // namespace
}  // namespace ferry::metastore
#endif
