// A session with PostgreSQL whose statements are sent without waiting for their answers.
#ifdef FERRY_POSTGRESQL
#include "database_fixture.h"

namespace ferry::metastore {
namespace {

using postgres::Connection;
using postgres::Parameters;
using postgres::Remedy;
using testing::DatabaseFixture;
using testing::is_missing;
using testing::must;

class ConnectionFixture : public DatabaseFixture {
 public:
  ConnectionFixture() { must(connection->command("CREATE TEMPORARY TABLE t (n integer UNIQUE)")); }

  Result<void> insert(std::int64_t number) const {
    return connection->send("INSERT INTO t VALUES ($1::integer)", Parameters().add(number));
  }
  std::int64_t count() const {
    return must(connection->run("SELECT count(*) FROM t")).integer(0, 0);
  }

  Remedy none = Remedy::kNone;
  std::unique_ptr<Connection> connection =
      must(Connection::open(server.location(), std::chrono::seconds(30), none));
};

#define CONNECTION_TEST(name) \
  TEST_CASE_FIXTURE(ConnectionFixture, name* doctest::skip(is_missing()))

CONNECTION_TEST("what was sent is done before what is asked next") {
  for (int i = 0; i < 1'000; ++i) must(insert(i));
  CHECK(count() == 1'000);
}

CONNECTION_TEST("the first failure of what was sent is told, and what follows is not done") {
  must(insert(1));
  must(insert(1));
  must(insert(2));
  const auto finished = connection->finish();
  REQUIRE_FALSE(finished);
  CHECK(finished.error().message.find("duplicate key") != std::string::npos);
  CHECK(connection->sqlstate() == "23505");
  CHECK(connection->remedy() == Remedy::kRepeat);
  CHECK(count() == 0);  // all that was sent since the last answer is one transaction
  must(insert(3));
  CHECK(count() == 1);
}

CONNECTION_TEST("who asks next is told of the failure, and is not answered") {
  must(connection->send("INSERT INTO nowhere VALUES (1)"));
  CHECK(connection->run("SELECT 1").error().kind == ErrorKind::kCorrupt);
  CHECK(connection->run("SELECT 1"));
  must(connection->send("INSERT INTO nowhere VALUES (1)"));
  CHECK(connection->command("SELECT 1").error().kind == ErrorKind::kCorrupt);
}

CONNECTION_TEST("a connection that is lost with what was sent says so") {
  const auto rows = must(connection->run("SELECT pg_backend_pid()"));
  must(insert(1));
  server.run(fmt::format("SELECT pg_terminate_backend({}, 30000)", rows.integer(0, 0)));
  (void)insert(2);
  CHECK_FALSE(connection->finish());
  CHECK(connection->is_lost());
  CHECK(connection->remedy() == Remedy::kWait);
}

}  // namespace
}  // namespace ferry::metastore
#endif
