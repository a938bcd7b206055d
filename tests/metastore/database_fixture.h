// For what is particular to the store in PostgreSQL.
#pragma once

#include <chrono>
#include <thread>

#include "store_fixture.h"

namespace ferry::metastore::testing {

#define DATABASE_TEST(name) TEST_CASE_FIXTURE(DatabaseFixture, name* doctest::skip(is_missing()))

template <typename Condition>
void wait_until(Condition holds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!holds()) {
    if (std::chrono::steady_clock::now() >= deadline) FAIL("waited in vain");
    std::this_thread::yield();
  }
}

inline bool is_missing() {
  return postgres_programs().empty();
}

class DatabaseFixture : public Contract {
 public:
  DatabaseFixture() : Contract("postgresql", std::make_unique<PostgresBackend>()) {}

  std::string location() const { return dynamic_cast<const PostgresBackend&>(*backend).location(); }
  /// SQL, as the owner, in the metastore's schema.
  std::string sql(const std::string& text) const {
    const auto equals = location().rfind("%3D");
    return server.run(fmt::format("SET search_path = {}; {}", location().substr(equals + 3), text));
  }
  std::string schema() const { return location().substr(location().rfind("%3D") + 3); }
  std::string location_as(const std::string& role) const {
    std::string other = location();
    return other.replace(other.find("user=postgres"), 13, "user=" + role);
  }
  /// By sessions that have ended, of the metastore's tables.
  std::int64_t rows_read() const {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (sql("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'ferry %' AND "
               "pid <> pg_backend_pid()") != "0") {
      REQUIRE(std::chrono::steady_clock::now() < deadline);
    }
    return std::stoll(
        sql("SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::bigint FROM "
            "pg_stat_user_tables WHERE schemaname = current_schema()"));
  }
  void check_derived(Metastore& store) const {
    for (const std::string& difference : must(store.upkeep().verify())) FAIL_CHECK(difference);
  }

  PostgresServer& server = PostgresServer::get();
};

}  // namespace ferry::metastore::testing
