// What is particular to the store in PostgreSQL: locations, the schema, roles, servers that go
// away.
#ifdef FERRY_POSTGRESQL
#include <poll.h>

#include <atomic>
#include <thread>

#include "database_fixture.h"
#include "metastore/postgres/location.h"

namespace ferry::metastore {
namespace {

using testing::DatabaseFixture;
using testing::found;
using testing::is_missing;
using testing::kTo;
using testing::must;
using testing::wait_until;
using enum TransferStatus;

// Locations.

TEST_CASE("a location with a password is refused, and the password is not shown") {
  for (const char* location :
       {"postgresql://ann:secret@host/db", "postgres://ann:se?cr/et@host/db",
        "postgresql://host/db?user=ann&password=secret", "postgresql://host/db?PassWord=secret",
        "postgresql://host/db?sslpassword=secret&user=ann",
        "postgresql://host/db?%70assword=secret", "postgresql://host/db?passwd=secret",
        "postgresql://:secret@/db"}) {
    CAPTURE(location);
    const auto store = open_metastore(location, {});
    REQUIRE_FALSE(store);
    CHECK(store.error().kind == ErrorKind::kInvalid);
    CHECK(store.error().message.find("secret") == std::string::npos);
    CHECK(store.error().message.find("se?cr") == std::string::npos);
    CHECK(store.error().message.find("PGPASSFILE") != std::string::npos);
  }
}

TEST_CASE("locations without a password are taken as they are") {
  for (const char* location :
       {"postgresql://", "postgresql://ann@host:5432/db", "postgres://[::1]:5432/db",
        "postgresql:///db?host=/run/postgresql&user=ann", "postgresql://a:1,b:2/db",
        "postgresql:///?service=ferry", "postgresql://h/d?passfile=/x",
        "postgresql://h/d?options=-csearch_path%3Dx"}) {
    CAPTURE(location);
    CHECK(postgres::check_database_location(location));
    CHECK(postgres::shown_location(location) == location);
  }
}

TEST_CASE("a server that is not there is waited for as long as others are") {
  Options options;
  options.lock_timeout = std::chrono::milliseconds(300);
  const auto store = open_metastore("postgresql:///db?host=/nowhere", options);
  REQUIRE_FALSE(store);
  CHECK(store.error().kind == ErrorKind::kIo);
  CHECK(store.error().message.find("/nowhere") != std::string::npos);
}

// The schema.

DATABASE_TEST("who only looks makes no tables") {
  CHECK(backend->look(options()).error().kind == ErrorKind::kNotFound);
  open();
  CHECK(backend->look(options()));
}

DATABASE_TEST("a newer schema is refused, and left alone") {
  open();
  sql("UPDATE metastore SET format_version = 2");
  CHECK(backend->open(options()).error().kind == ErrorKind::kCorrupt);
  CHECK(backend->look(options()).error().kind == ErrorKind::kCorrupt);
  CHECK(sql("SELECT format_version FROM metastore") == "2");
}

DATABASE_TEST("several who come first at once make the tables once") {
  std::vector<std::thread> threads;
  std::atomic<int> opened = 0;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&] { opened += backend->open(options()).has_value(); });
  }
  for (auto& thread : threads) thread.join();
  CHECK(opened == 6);
  CHECK(sql("SELECT count(*) FROM metastore") == "1");
}

DATABASE_TEST("whatever texts and numbers a row has, it comes back as it was") {
  auto store = open();
  FileRecord odd = found("a \"quoted\" \\ {path}, NULL/\xC3\xA4.csv", "x");
  odd.id = "NULL";
  odd.identity->inode = 0xFFFF'FFFF'FFFF'FFFE;
  odd.identity->device = 0x8000'0000'0000'0000;
  odd.identity->mtime_ns = -5;
  odd.reason = "\"{}\\";
  odd.unknown_columns = R"({"owner":"j\u0000oe","n":{"x":[1,2.50]}})";
  must(store->import_files({odd}));
  CHECK(to_line(files(*store).at(0)) == to_line(odd));
  TransferRecord failed = row("NULL", kFailed);
  failed.error = TransferError{"io", "line\nbreak, 'quote', {brace} \x01", true};
  failed.remote_path = "\\N";
  failed.checksum = testing::checksum_of("x");
  failed.unknown_columns = R"({"a":null,"b":"\""})";
  append(*store, failed);
  CHECK(to_line(must(store->history("NULL")).at(0).transfers.at(0)) == to_line(failed));
}

DATABASE_TEST("what is not UTF-8 is replaced, as in JSON lines") {
  auto store = open();
  put(*store, found("a\xFF\xC3(.csv", "x"));
  CHECK(files(*store).at(0).path == "a\uFFFD\uFFFD(.csv");
}

// Roles.

DATABASE_TEST("a reader's role is enough for every question") {
  auto store = open();
  for (int i = 0; i < 20; ++i) {
    const auto id = put(*store, found(std::to_string(i), "1")).id;
    if (i % 3 == 0) append(*store, row(id, i % 2 == 0 ? kSuccessful : kFailed));
  }
  const std::string role = schema() + "_reader";
  sql(
      fmt::format("CREATE ROLE {0} LOGIN; GRANT USAGE ON SCHEMA {1} TO {0}; GRANT SELECT ON ALL "
                  "TABLES IN SCHEMA {1} TO {0}",
                  role, schema()));
  const FileQuery pending{.standings = {Standing::kPending}, .destination = kTo};
  const auto check = [&](const Options& options) {
    const auto reader = must(open_metastore_for_reading(location_as(role), options));
    CHECK(must(reader->totals(kTo))[Standing::kPending].files == 13);
    CHECK(must(reader->totals(kTo))[Standing::kSuccessful].files == 4);
    CHECK(must(reader->totals(kTo))[Standing::kFailed].files == 3);
    CHECK(must(reader->totals(kTo)).oldest_pending->path == "1");
    CHECK(paths(*reader, pending).size() == 13);
    CHECK(must(reader->is_pending()));
    CHECK(reader->register_files({found("x", "1")}).error().kind == ErrorKind::kDenied);
    CHECK_FALSE(open_metastore(location_as(role), options));
  };
  SUBCASE("where all is judged") {
    check(options());
  }
  SUBCASE("where changes are not judged yet") {
    auto other = open(Options{});  // knows no destinations
    const auto id = latest(*other, "1")->id;
    append(*other, row(id, kSuccessful));
    append(*other, row(id, kFailed, 0));
    CHECK(sql("SELECT count(*) > 0 FROM unjudged") == "t");
    check(options());
  }
  SUBCASE("where nobody else looks from its viewpoint") {
    Options other = options();
    other.demand.max_attempts = 7;
    check(other);
  }
}

DATABASE_TEST("an agent's role is enough to watch and to deliver") {
  open();
  const std::string role = schema() + "_agent";
  sql(fmt::format(
      "CREATE ROLE {0} LOGIN; GRANT USAGE ON SCHEMA {1} TO {0}; GRANT SELECT ON ALL TABLES IN "
      "SCHEMA "
      "{1} TO {0}; GRANT INSERT ON file_registry, transfer_logs TO {0}; GRANT USAGE ON ALL "
      "SEQUENCES "
      "IN SCHEMA {1} TO {0}; GRANT INSERT, UPDATE, DELETE ON files, deliveries, agents, routes, "
      "classes, standings, unjudged, class_sums, delivered_sums TO {0}",
      role, schema()));
  const auto store = must(open_metastore(location_as(role), options()));
  const auto id = put(*store, found("x", "1")).id;
  put(*store, found("x", "1", 2));
  FileRecord imported = found("y", "1");
  imported.id = "y";
  CHECK(must(store->import_files({imported})) == 1);
  const auto agent = must(store->join());
  CHECK(claim(*store, *agent, {id}).size() == 1);
  append(*store, row(id, kFailed));
  CHECK(must(store->release(std::span(&id, 1), "")).size() == 1);
  for (int i = 0; i < 70; ++i) append(*store, row(id, kSuccessful));  // sums are tidied at times
  const auto notice = must(store->watch_changes());
  check_derived(*store);
  CHECK(store->upkeep().compact(now()).error().kind == ErrorKind::kDenied);
}

// Servers that go away.

DATABASE_TEST("whose connections are cut off goes on with others") {
  auto store = open();
  put(*store, found("1", "1"));
  sql("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE backend_type = 'client "
      "backend' AND pid <> pg_backend_pid()");
  put(*store, found("2", "1"));
  CHECK(files(*store).size() == 2);
}

DATABASE_TEST("while servers crash and restart nothing is entered twice, and nothing is lost") {
  auto store = open();
  std::atomic<bool> is_over = false;
  std::atomic<int> entered = 0;
  std::string failure;
  std::thread writer([&] {
    for (int i = 0; !is_over; ++i) {
      const auto done = store->register_files({found(std::to_string(i), "1")});
      if (!done) failure = done.error().message;
      if (!done) return;
      entered += done->at(0).outcome == Registration::Outcome::kInserted;
    }
  });
  for (const int signal : {SIGQUIT, SIGINT, SIGQUIT, SIGQUIT}) {
    const int before = entered;
    wait_until([&] { return entered >= before + 20; });
    server.stop(signal);
    server.start();
  }
  is_over = true;
  writer.join();
  CHECK(failure == "");
  CHECK(static_cast<int>(files(*store).size()) == entered);
  CHECK(std::stoi(sql("SELECT count(*) FROM file_registry")) == entered);
  check_derived(*store);
}

DATABASE_TEST("what was committed is done, even if the answer is lost") {
  auto store = open();
  server.run("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
  server.run("SELECT pg_reload_conf()");
  std::vector<Registration> done;
  // The server takes the setting in when it comes to it: until then nobody waits.
  std::jthread writer([&](std::stop_token ended) {
    while (!ended.stop_requested()) {
      done.push_back(put(*store, found(std::to_string(done.size()), "1")));
    }
  });
  // It has committed, and waits for a standby that there is not before it says so.
  wait_until([&] {
    return server.run(
               "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE "
               "wait_event = 'SyncRep'") != "0";
  });
  writer.request_stop();
  server.run("ALTER SYSTEM RESET synchronous_standby_names");
  server.run("SELECT pg_reload_conf()");
  writer.join();
  for (std::size_t i = 0; i < done.size(); ++i) {
    CHECK(done[i].outcome == Registration::Outcome::kInserted);
    CHECK(must(store->history(std::to_string(i))).at(0).file.size() == 1);
  }
  CHECK(files(*store).size() == done.size());
}

DATABASE_TEST("who waits is told when the server is back") {
  auto store = open();
  const auto notice = must(store->watch_changes());
  notice->clear();
  server.stop(SIGINT);
  server.start();
  pollfd wait{notice->fd(), POLLIN, 0};
  CHECK(::poll(&wait, 1, 60'000) == 1);
  notice->clear();
  put(*store, found("x", "1"));
  CHECK(::poll(&wait, 1, 60'000) == 1);
}

}  // namespace
}  // namespace ferry::metastore
#endif
