#include "ferry/sftp/read_ahead.h"

#include <doctest/doctest.h>

#include "sftp/client_fixture.h"

using namespace ferry;
using namespace ferry::sftp;
using namespace ferry::sftp::testing;
using wire::PacketType;
using wire::StatusCode;

namespace {

struct Reading : Fixture {
  std::string file = std::string(300'000, 'x') + "the end";
  std::size_t most = 1 << 20;  // that one reply gives
  ReadBudget budget;

  Reading() {
    on[PacketType::kRead] = [this](const Request& request) {
      const std::string_view body = std::string_view(request.body).substr(5);  // behind the handle
      const std::uint64_t offset = get_u32(body.substr(4));
      const std::size_t size = std::min<std::size_t>(get_u32(body.substr(8)), most);
      if (offset >= file.size()) return status(request.id, StatusCode::kEof);
      std::string rest;
      put_u32(rest, request.id);
      put_string(rest, std::string_view(file).substr(offset, size));
      return packet(PacketType::kData, rest);
    };
    REQUIRE(start());
  }

  Result<std::string> read(std::uint64_t begin, std::uint64_t end) {
    ReadAhead data(*client, kHandle, begin, end, budget);
    std::string all;
    for (;;) {
      const auto block = run(data.next());
      if (!block) return block.error();
      if (block->empty()) return all;
      all.append(reinterpret_cast<const char*>(block->data()), block->size());
    }
  }
};

}  // namespace

TEST_CASE_FIXTURE(Reading, "a range comes in order, whatever each reply gives") {
  SUBCASE("all at once") {
    most = 1 << 20;
  }
  SUBCASE("a little") {
    most = 1'000;
  }
  CHECK(read(0, file.size()).value() == file);
  CHECK(read(5, 6).value() == "x");
  CHECK(read(299'999, file.size() + 100).value() == "xthe end");
  CHECK(read(7, 7).value().empty());
  CHECK(budget.used == 0);
}

TEST_CASE_FIXTURE(Reading, "what is asked for ahead stays within the budget") {
  budget.limit = 100'000;
  ReadAhead one(*client, kHandle, 0, file.size(), budget);
  CHECK(budget.used <= budget.limit);
  ReadAhead other(*client, kHandle, 0, file.size(), budget);
  CHECK(budget.used <= budget.limit);
  // Somebody waits for it: it is asked for all the same.
  CHECK_FALSE(run(other.next())->empty());
}

TEST_CASE_FIXTURE(Reading, "who goes before the answers came is not missed") {
  {
    const ReadAhead gone(*client, kHandle, 0, file.size(), budget);
  }
  CHECK(budget.used == 0);
  CHECK(read(0, file.size()).value() == file);
}

TEST_CASE_FIXTURE(Reading, "a read that fails ends the reading with its error") {
  on[PacketType::kRead] = [](const Request& request) {
    return status(request.id, StatusCode::kPermissionDenied);
  };
  CHECK(read(0, 10).error().kind == ErrorKind::kDenied);
}

TEST_CASE_FIXTURE(Reading, "those who share a budget get a part of it each") {
  budget.limit = 8 * 32 * 1024;
  ReadAhead first(*client, kHandle, 0, file.size(), budget);
  CHECK(budget.used == budget.limit);
  ReadAhead second(*client, kHandle, 0, file.size(), budget);
  for (int i = 0; i < 6; ++i) CHECK(run(first.next()));
  CHECK(run(second.next()));
  INFO("the first has no more than its half on the way any more");
  CHECK(budget.used <= budget.limit);
  CHECK(budget.readers == 2);
}
