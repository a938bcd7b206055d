#include "ferry/sftp/client.h"

#include <doctest/doctest.h>

#include "sftp/client_fixture.h"

using namespace ferry;
using namespace ferry::sftp;
using namespace ferry::sftp::testing;
using wire::PacketType;
using wire::StatusCode;

namespace {

const ByteSource kZeros{.read = [](std::uint64_t, std::span<std::byte> buffer) -> Result<void> {
  std::ranges::fill(buffer, std::byte{0});
  return {};
}};
const OnAcknowledged kIgnore = [](std::uint64_t, std::size_t) {};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "what is no SFTP server is recognised by its first bytes") {
  on[PacketType::kInit] = [](const Request&) { return "Welcome to example.org!\r\n"; };
  const auto started = start();
  CHECK(started.error().kind == ErrorKind::kProtocol);
  CHECK(started.error().message.find("login script") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "a server of another version is refused") {
  on[PacketType::kInit] = [](const Request&) {
    return packet(PacketType::kVersion, std::string("\0\0\0\6", 4));
  };
  CHECK(start().error().message.find("version 6") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture,
                  "without limits@openssh.com writes have the size that all servers take") {
  REQUIRE(start());
  CHECK(client->max_write_bytes() == 32 * 1024);
  CHECK_FALSE(client->offers_fsync());
}

TEST_CASE_FIXTURE(Fixture,
                  "limits are asked for where offered, and a refusal of them is survived") {
  extensions = {{"limits@openssh.com", "1"}};
  on[PacketType::kExtended] = [](const Request& request) {
    return status(request.id, StatusCode::kOpUnsupported);
  };
  REQUIRE(start());
  await_limits();
  CHECK(client->max_write_bytes() == 32 * 1024);
}

TEST_CASE_FIXTURE(Fixture, "what is asked before the limits are known keeps to what all take") {
  extensions = {{"limits@openssh.com", "1"}};
  on[PacketType::kExtended] = [](const Request& request) {
    return limits(request.id, {262144, 261120, 261120, 1019});
  };
  REQUIRE(start());
  CHECK(client->max_write_bytes() == 32 * 1024);
  await_limits();
  CHECK(client->max_write_bytes() == 261120);
  CHECK(client->limits().max_open_handles == 1019);
}

TEST_CASE_FIXTURE(Fixture, "an extension of another revision is not used") {
  extensions = {{"fsync@openssh.com", "2"}, {"posix-rename@openssh.com", "1"}};
  REQUIRE(start());
  CHECK_FALSE(client->offers_fsync());
  CHECK(client->offers_posix_rename());
}

TEST_CASE_FIXTURE(Fixture, "answers may come in any order") {
  REQUIRE(start());
  std::vector<std::uint32_t> ids;
  on[PacketType::kOpen] = [&](const Request& request) {
    ids.push_back(request.id);
    if (ids.size() < 2) return std::string();
    return handle(ids[1], "second") + handle(ids[0], "first");
  };
  std::string first;
  std::string second;
  const auto open = [](Client& self, std::string path, std::string& result) -> Task<void> {
    result = (co_await self.open(path, kOpenWrite, 0))->bytes;
  };
  loop.spawn(open(*client, "1", first));
  loop.spawn(open(*client, "2", second));
  loop.run();
  CHECK(first == "first");
  CHECK(second == "second");
}

TEST_CASE_FIXTURE(Fixture,
                  "a reply to nothing ends the connection, and what is in flight with it") {
  REQUIRE(start());
  on[PacketType::kClose] = [](const Request& request) {
    return status(request.id + 1000, StatusCode::kOk);
  };
  CHECK(run(client->close(kHandle)).error().kind == ErrorKind::kProtocol);
  CHECK(client->error()->kind == ErrorKind::kProtocol);
  INFO("later requests fail at once, with the same error");
  CHECK(run(client->remove("x")).error().kind == ErrorKind::kProtocol);
}

TEST_CASE_FIXTURE(Fixture, "a second reply to one request is a reply to nothing") {
  REQUIRE(start());
  on[PacketType::kClose] = [](const Request& request) {
    return status(request.id, StatusCode::kOk) + status(request.id, StatusCode::kOk);
  };
  CHECK(run(client->close(kHandle)));
  CHECK(client->error()->kind == ErrorKind::kProtocol);
}

TEST_CASE_FIXTURE(Fixture, "an answer of the wrong type ends the connection") {
  REQUIRE(start());
  on[PacketType::kOpen] = [](const Request& request) {
    return packet(PacketType::kName, handle(request.id, "x").substr(5));
  };
  SUBCASE("one of another type") {}
  SUBCASE("a status that is no error") {
    on[PacketType::kOpen] = [](const Request& request) {
      return status(request.id, StatusCode::kOk);
    };
  }
  CHECK(run(client->open("x", kOpenWrite, 0)).error().kind == ErrorKind::kProtocol);
  CHECK(client->error()->kind == ErrorKind::kProtocol);
}

TEST_CASE_FIXTURE(Fixture, "so does one to a write") {
  REQUIRE(start());
  on[PacketType::kWrite] = [](const Request& request) { return handle(request.id, "x"); };
  CHECK(run(client->write(kHandle, 0, 100, kZeros, kIgnore)).error().kind == ErrorKind::kProtocol);
  CHECK(client->error()->kind == ErrorKind::kProtocol);
}

TEST_CASE_FIXTURE(Fixture, "a server that says nothing for the stall time-out is lost") {
  REQUIRE(start());
  on[PacketType::kClose] = [](const Request&) { return std::string(); };
  CHECK(run(client->close(kHandle)).error().kind == ErrorKind::kConnectionLost);
}

TEST_CASE_FIXTURE(Fixture, "the end of the stream ends every request") {
  REQUIRE(start());
  on[PacketType::kClose] = [this](const Request&) {
    server->close();
    return std::string();
  };
  CHECK(run(client->close(kHandle)).error().kind == ErrorKind::kConnectionLost);
}

TEST_CASE_FIXTURE(Fixture, "a stop ends what the server does not answer within the grace") {
  REQUIRE(start());
  options.stall_timeout = std::chrono::minutes(5);
  on[PacketType::kClose] = [this](const Request&) {
    stop.request_stop();
    return std::string();
  };
  CHECK(run(client->close(kHandle)).error().kind == ErrorKind::kCancelled);
}

namespace {

struct FewHandles : Fixture {
  std::size_t limit = 2;
  std::size_t open_now = 0;
  std::size_t most = 0;
  unsigned refusals = 0;
  unsigned failures = 0;

  FewHandles() {
    on[PacketType::kOpen] = [this](const Request& request) {
      if (open_now == limit || request.body.contains("bad")) {
        ++refusals;
        return status(request.id, StatusCode::kFailure);
      }
      most = std::max(most, ++open_now);
      return handle(request.id, "h");
    };
    on[PacketType::kFstat] = [](const Request& request) {
      return attributes_of_size(request.id, 1);
    };
    on[PacketType::kClose] = [this](const Request& request) {
      --open_now;
      return status(request.id, StatusCode::kOk);
    };
    REQUIRE(start());
  }

  static Task<void> use(Client& client, std::string path, unsigned& failures) {
    const auto opened = co_await client.open(std::move(path), kOpenRead, 0);
    if (!opened) {
      ++failures;
      co_return;
    }
    [[maybe_unused]] const auto looked = co_await client.fstat(*opened);
    [[maybe_unused]] const auto closed = co_await client.close(*opened);
  }
  void spawn(unsigned count, const std::string& path) {
    for (unsigned i = 0; i < count; ++i) loop.spawn(use(*client, path, failures));
  }
  void use_many(unsigned count) {
    spawn(count, "x");
    loop.run();
  }
};

}  // namespace

TEST_CASE_FIXTURE(FewHandles, "no more files are open than a server keeps open for us") {
  use_many(100);
  CHECK(failures == 0);
  CHECK(most == 2);
}

TEST_CASE_FIXTURE(FewHandles, "a server that says nothing is taken to keep 64 open") {
  limit = 1000;
  use_many(100);
  CHECK(most == Client::kAssumedOpenHandles);
}

TEST_CASE_FIXTURE(FewHandles,
                  "files that a server refuses for themselves leave the others their pace") {
  limit = 1000;
  spawn(20, "x");
  spawn(20, "bad");
  use_many(20);
  CHECK(failures == 20);
  most = 0;
  use_many(100);
  CHECK(most == Client::kAssumedOpenHandles);
}

TEST_CASE_FIXTURE(FewHandles, "an open that fails with nothing else open is an error at once") {
  limit = 0;
  use_many(1);
  CHECK(failures == 1);
  CHECK(refusals == 1);
}

TEST_CASE_FIXTURE(Fixture, "replace is one posix-rename where the server has it") {
  extensions = {{"posix-rename@openssh.com", "1"}};
  REQUIRE(start());
  CHECK(run(client->replace("a", "b")));
  CHECK(requests() == std::vector{PacketType::kInit, PacketType::kExtended});
}

TEST_CASE_FIXTURE(Fixture, "a second name is one hardlink where the server has it") {
  SUBCASE("it has") {
    extensions = {{"hardlink@openssh.com", "1"}};
    REQUIRE(start());
    CHECK(client->offers_hardlink());
    CHECK(run(client->link("a", "b")));
    CHECK(requests() == std::vector{PacketType::kInit, PacketType::kExtended});
  }
  SUBCASE("it has not") {
    REQUIRE(start());
    CHECK_FALSE(client->offers_hardlink());
  }
}

TEST_CASE_FIXTURE(Fixture, "replace without posix-rename") {
  REQUIRE(start());
  SUBCASE("is a plain rename where the target is new") {
    CHECK(run(client->replace("a", "b")));
    CHECK(requests() == std::vector{PacketType::kInit, PacketType::kRename});
  }
  SUBCASE("removes an existing target only after the rename was refused because of it") {
    on[PacketType::kStat] = [](const Request& request) {
      std::string rest;
      put_u32(rest, request.id);
      put_u32(rest, 0);
      return packet(PacketType::kAttrs, rest);
    };
    on[PacketType::kRename] = [this](const Request& request) {
      return status(request.id,
                    count(PacketType::kRename) == 1 ? StatusCode::kFailure : StatusCode::kOk);
    };
    CHECK(run(client->replace("a", "b")));
    CHECK(requests() == std::vector{PacketType::kInit, PacketType::kRename, PacketType::kStat,
                                    PacketType::kRemove, PacketType::kRename});
  }
  SUBCASE("removes nothing where the target is not there") {
    on[PacketType::kRename] = [](const Request& request) {
      return status(request.id, StatusCode::kFailure);
    };
    on[PacketType::kStat] = [](const Request& request) {
      return status(request.id, StatusCode::kNoSuchFile);
    };
    CHECK(run(client->replace("a", "b")).error().kind == ErrorKind::kFailed);
    CHECK(count(PacketType::kRemove) == 0);
  }
}

TEST_CASE_FIXTURE(Fixture, "a connection on which nothing is due does not stall") {
  REQUIRE(start());
  loop.spawn(loop.sleep_until(std::chrono::steady_clock::now() + 2 * options.stall_timeout));
  loop.run();
  CHECK(is_alive());
  CHECK(run(client->remove("x")));
}

TEST_CASE_FIXTURE(Fixture, "a server that answers one request and not the other stalls") {
  REQUIRE(start());
  on[PacketType::kRemove] = [](const Request&) { return std::string(); };
  CHECK(run(client->remove("x")).error().kind == ErrorKind::kConnectionLost);
}

TEST_CASE_FIXTURE(Fixture, "a name that a server finds invalid is the error of its request alone") {
  REQUIRE(start());
  on[PacketType::kOpen] = [](const Request& request) {
    return status(request.id, StatusCode::kBadMessage);
  };
  const Error refused = run(client->open("a:b", kOpenWrite, 0)).error();
  CHECK(refused.kind == ErrorKind::kFailed);
  CHECK(refused.message.contains("name"));
  CHECK(is_alive());
}
