// Tables that are so large that their rows are parsed on a thread of their own.
#include "store_fixture.h"

namespace ferry::metastore {
namespace {

using testing::found;
using testing::must;
using testing::StoreFixture;

constexpr int kFiles = 15'000;  // a table of more than 4 MiB each

std::string id_of(int number) {
  return fmt::format("0195f5a0-0000-7000-8000-{:012x}", number);
}

std::string registry_lines(int from, int until) {
  std::string lines;
  for (int i = from; i < until; ++i) {
    FileRecord file = found(fmt::format("d/{}.csv", i % (kFiles / 2)), std::to_string(i));
    file.id = id_of(i % 7 == 0 ? i / 2 : i);  // some have several rows
    file.reason = std::string(100, 'r');
    lines += to_line(file);
    if (i % 1'000 == 0) lines += "{\"id\":\"damaged\"}\n\n";
  }
  return lines;
}

std::string transfer_lines(int from, int until) {
  std::string lines;
  for (int i = from; i < until; ++i) {
    using enum TransferStatus;
    const TransferStatus status = i % 3 == 0 ? kFailed : i % 3 == 1 ? kInProgress : kSuccessful;
    // Some speak of files that are entered later, or never.
    TransferRecord row = StoreFixture::row(id_of(i * 3 % (kFiles + 100)), status, i % 4);
    row.remote_path = std::string(200, 'p');
    lines += to_line(row);
    if (i % 1'000 == 0) lines += "no row\n";
  }
  return lines;
}

TEST_CASE_FIXTURE(StoreFixture, "tables say the same read at once or bit by bit") {
  constexpr int kPiece = 1'000;
  {
    const auto store = open();
    for (int i = 0; i < kFiles; i += kPiece) {
      add("transfer_logs.jsonl", transfer_lines(i, i + kPiece));
      add("file_registry.jsonl", registry_lines(i, i + kPiece));
      must(store->totals());
    }
    REQUIRE(fs::file_size(file("file_registry.jsonl")) > (4 << 20));
    REQUIRE(fs::file_size(file("transfer_logs.jsonl")) > (4 << 20));
    CHECK(must(store->upkeep().damaged_rows()) == 2 * kFiles / kPiece);
    // Compares with an index that is built from the whole tables.
    for (const std::string& difference : must(store->upkeep().verify())) FAIL_CHECK(difference);
  }
  const auto damages = must(look()->upkeep().damages(100));
  fs::remove(file("index.sqlite"));
  const auto again = must(open()->upkeep().damages(100));
  REQUIRE(again.size() == damages.size());
  for (std::size_t i = 0; i < again.size(); ++i) {
    CHECK(again[i].table == damages[i].table);
    CHECK(again[i].line == damages[i].line);
    CHECK(again[i].reason == damages[i].reason);
  }
}

}  // namespace
}  // namespace ferry::metastore
