// What PostgreSQL is given to do: rows that are read, as it counts them, and work left for others.
#ifdef FERRY_POSTGRESQL
#include "database_fixture.h"

namespace ferry::metastore {
namespace {

using testing::DatabaseFixture;
using testing::found;
using testing::is_missing;
using testing::kLandingArea;
using testing::kTo;
using testing::must;

DATABASE_TEST("a few of many files are found and claimed without reading the others") {
  constexpr int kFiles = 3'000;
  auto store = open();
  std::vector<FileRecord> all;
  for (int i = 0; i < kFiles; ++i) all.push_back(found(fmt::format("{:05}", i), "x"));
  must(store->register_files(all));
  store.reset();
  const std::int64_t before = rows_read();
  store = open();
  SUBCASE("by where they stand") {
    CHECK(files(*store, {.destination = kTo, .deliverable = true, .limit = 5}).size() == 5);
  }
  SUBCASE("in an area") {
    const FileQuery query{
        .landings = {kLandingArea}, .destination = kTo, .deliverable = true, .limit = 5};
    CHECK(files(*store, query).size() == 5);
  }
  SUBCASE("to be claimed") {
    const auto agent = must(store->join());
    auto wanted = request(*agent);
    wanted.query.limit = 5;
    wanted.query.landings = {kLandingArea};
    CHECK(must(store->claim(wanted)).size() == 5);
  }
  store.reset();
  CHECK(rows_read() - before < kFiles);
}

DATABASE_TEST("a text is searched for in the index that the owner made for it") {
  constexpr int kFiles = 3'000;
  auto store = open();
  std::vector<FileRecord> all;
  for (int i = 0; i < kFiles; ++i) all.push_back(found(fmt::format("{:05}", i), "x"));
  must(store->register_files(all));
  sql("CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA public");
  sql("CREATE INDEX ON files USING gin (path public.gin_trgm_ops)");
  sql("ANALYZE files");
  store.reset();
  const std::int64_t before = rows_read();
  store = open();
  CHECK(paths(*store, {.text = "1234"}) == std::vector<std::string>{"01234"});
  store.reset();
  CHECK(rows_read() - before < kFiles);
}

DATABASE_TEST("an agent leaves nothing of what it delivers to be judged by others") {
  auto store = open(Options{});  // knows no destinations, as with --to
  const auto id = put(*store, found("a", "x")).id;
  const auto agent = must(store->join());
  must(store->totals(kTo));  // from where that is judged from now on
  CHECK(claim(*store, *agent, {id}).size() == 1);
  TransferRecord delivered = row(id, TransferStatus::kSuccessful);
  delivered.agent = agent->name();
  SUBCASE("as agents record it") {
    CHECK(must(store->append_unless_held(std::span(&delivered, 1))) == 1);
  }
  SUBCASE("whoever holds it") {
    append(*store, delivered);
  }
  CHECK(sql("SELECT count(*) FROM unjudged") == "0");
  check_derived(*store);
}

}  // namespace
}  // namespace ferry::metastore
#endif
