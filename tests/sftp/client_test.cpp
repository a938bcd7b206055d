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
  CHECK(client->max_write_bytes() == 32 * 1024);
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

TEST_CASE_FIXTURE(Fixture, "a write carries each byte once, at its offset") {
  REQUIRE(start());
  std::string written(100'000, '?');
  on[PacketType::kWrite] = [&](const Request& request) {
    const std::string_view body = request.body;
    const std::size_t offset = get_u32(body.substr(9));
    const std::string_view data = body.substr(17);
    CHECK(data.size() == get_u32(body.substr(13)));
    written.replace(offset, data.size(), data);
    return status(request.id, StatusCode::kOk);
  };
  std::string source;
  for (std::size_t i = 0; i < written.size(); ++i) source.push_back(static_cast<char>(i * 31 >> 3));
  const ByteSource read{
      .read = [&](std::uint64_t offset, std::span<std::byte> buffer) -> Result<void> {
        std::memcpy(buffer.data(), source.data() + offset, buffer.size());
        return {};
      }};
  std::size_t acknowledged = 0;
  const OnAcknowledged count = [&](std::uint64_t, std::size_t size) { acknowledged += size; };
  CHECK(run(client->write(kHandle, 0, source.size(), read, count)));
  CHECK(written == source);
  CHECK(acknowledged == source.size());
}

TEST_CASE_FIXTURE(Fixture, "no more than the window is ever unacknowledged") {
  REQUIRE(start());
  std::vector<std::uint32_t> held;
  std::size_t most = 0;
  on[PacketType::kWrite] = [&](const Request& request) {
    held.push_back(request.id);
    most = std::max(most, held.size());
    if (held.size() < 8) return std::string();  // 8 × 32 KiB fill the window
    std::string answers;
    for (const std::uint32_t id : held) answers += status(id, StatusCode::kOk);
    held.clear();
    return answers;
  };
  CHECK(run(client->write(kHandle, 0, 32 * 32 * 1024, kZeros, kIgnore)));
  CHECK(most == 8);
}

TEST_CASE_FIXTURE(Fixture, "where answers come at once, no more is on the way than they need") {
  options.window_bytes = 4 << 20;
  REQUIRE(start());
  CHECK(run(client->mkdir("met in no time")));
  std::vector<std::uint32_t> held;
  on[PacketType::kWrite] = [&](const Request& request) {
    held.push_back(request.id);
    return std::string();
  };
  CHECK_FALSE(run(client->write(kHandle, 0, 8 << 20, kZeros, kIgnore)));  // never answered
  CHECK(held.size() == 32);                                               // 32 KiB each: 1 MiB
}

TEST_CASE_FIXTURE(Fixture, "after a refused write no more are sent, and the error says where") {
  options.window_bytes = 32 * 1024;
  REQUIRE(start());
  on[PacketType::kWrite] = [](const Request& request) {
    return status(request.id, StatusCode::kFailure);
  };
  const auto result = run(client->write(kHandle, 65536, 1 << 20, kZeros, kIgnore));
  CHECK(result.error().kind == ErrorKind::kFailed);
  CHECK(result.error().message.find("offset 65536") != std::string::npos);
  CHECK(count(PacketType::kWrite) == 1);
}

TEST_CASE_FIXTURE(Fixture, "a source that cannot be read puts nothing on the wire") {
  REQUIRE(start());
  const ByteSource broken{.read = [](std::uint64_t, std::span<std::byte>) -> Result<void> {
    return make_error(ErrorKind::kIo, "bad sector");
  }};
  CHECK(run(client->write(kHandle, 0, 10, broken, kIgnore)).error().message == "bad sector");
  CHECK(count(PacketType::kWrite) == 0);
  CHECK(run(client->close(kHandle)));
}

TEST_CASE_FIXTURE(Fixture, "a whole file is looked at, synced and closed once it is written") {
  REQUIRE(start());
  std::vector<PacketType> asked;
  std::string held;
  const auto hold = [&](std::string (*answer)(const Request&), std::size_t until) {
    return [&asked, &held, answer, until](const Request& request) {
      asked.push_back(request.type);
      held += answer(request);
      return asked.size() < until ? std::string() : std::exchange(held, {});
    };
  };
  const auto ok = [](const Request& request) { return status(request.id, StatusCode::kOk); };
  on[PacketType::kWrite] = hold(ok, 1);  // answered before anything else is asked
  on[PacketType::kExtended] = hold(ok, 4);
  on[PacketType::kFstat] =
      hold([](const Request& request) { return attributes_of_size(request.id, 5); }, 4);
  on[PacketType::kClose] = hold(ok, 4);
  const auto seen = run(client->write_and_close(kHandle, "part", 5, true, kZeros, kIgnore));
  REQUIRE(seen);
  CHECK(seen->size == 5);
  CHECK(asked == std::vector{PacketType::kWrite, PacketType::kExtended, PacketType::kFstat,
                             PacketType::kClose});
}

TEST_CASE_FIXTURE(Fixture, "nothing is asked of a file while a write to it is not answered") {
  REQUIRE(start());
  std::vector<std::uint32_t> writes;
  on[PacketType::kWrite] = [&](const Request& request) {
    writes.push_back(request.id);
    if (writes.size() < 2) return std::string();
    CHECK(count(PacketType::kFstat) + count(PacketType::kClose) == 0);
    return status(writes[1], StatusCode::kOk) + status(writes[0], StatusCode::kOk);
  };
  on[PacketType::kFstat] = [](const Request& request) {
    return attributes_of_size(request.id, 40'000);
  };
  CHECK(run(client->write_and_close(kHandle, "part", 40'000, false, kZeros, kIgnore)));
}

TEST_CASE_FIXTURE(Fixture, "a whole file whose write is refused is closed all the same") {
  REQUIRE(start());
  on[PacketType::kWrite] = [](const Request& request) {
    return status(request.id, StatusCode::kFailure);
  };
  const auto seen = run(client->write_and_close(kHandle, "part", 5, false, kZeros, kIgnore));
  CHECK(seen.error().message.find("write of 5 bytes at offset 0") != std::string::npos);
  CHECK(count(PacketType::kClose) == 1);
}

TEST_CASE_FIXTURE(Fixture, "what a server closed before it looked at it is looked at by its name") {
  extensions = {{"fsync@openssh.com", "1"}};
  REQUIRE(start());
  unsigned syncs = 0;
  on[PacketType::kFstat] = [](const Request& request) {
    return status(request.id, StatusCode::kFailure);
  };
  on[PacketType::kExtended] = [&](const Request& request) {
    return status(request.id, ++syncs == 1 ? StatusCode::kFailure : StatusCode::kOk);
  };
  on[PacketType::kOpen] = [](const Request& request) { return handle(request.id, "again"); };
  on[PacketType::kStat] = [](const Request& request) { return attributes_of_size(request.id, 5); };
  const auto seen = run(client->write_and_close(kHandle, "part", 5, true, kZeros, kIgnore));
  REQUIRE(seen);
  CHECK(seen->size == 5);
  CHECK(syncs == 2);
}

TEST_CASE_FIXTURE(Fixture, "an fsync that failed by itself is not asked for again") {
  REQUIRE(start());
  on[PacketType::kFstat] = [](const Request& request) { return attributes_of_size(request.id, 5); };
  on[PacketType::kExtended] = [](const Request& request) {
    return status(request.id, StatusCode::kFailure);
  };
  const auto seen = run(client->write_and_close(kHandle, "part", 5, true, kZeros, kIgnore));
  CHECK(seen.error().message.find("fsync") != std::string::npos);
  CHECK(count(PacketType::kExtended) == 1);
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

TEST_CASE_FIXTURE(Fixture, "of two writes the one that began first goes first") {
  options.window_bytes = 32 * 1024;
  REQUIRE(start());
  std::string order;
  on[PacketType::kWrite] = [&](const Request& request) {
    order.push_back(request.body[4]);  // the handle's only byte
    return status(request.id, StatusCode::kOk);
  };
  const auto write = [](Client& self, Handle handle) -> Task<void> {
    CHECK(co_await self.write(handle, 0, 4 * 32 * 1024, kZeros, kIgnore));
  };
  loop.spawn(write(*client, Handle{"1"}));
  loop.spawn(write(*client, Handle{"2"}));
  loop.run();
  CHECK(order == "11112222");
}

TEST_CASE_FIXTURE(Fixture, "who begins another write does not overtake those who wait") {
  options.window_bytes = 32 * 1024;
  REQUIRE(start());
  std::string order;
  on[PacketType::kWrite] = [&](const Request& request) {
    order.push_back(request.body[4]);  // the handle's only byte
    return status(request.id, StatusCode::kOk);
  };
  const auto write = [](Client& self, std::vector<Handle> handles) -> Task<void> {
    for (const Handle& handle : handles) {
      CHECK(co_await self.write(handle, 0, 2 * 32 * 1024, kZeros, kIgnore));
    }
  };
  loop.spawn(write(*client, {Handle{"1"}, Handle{"3"}}));
  loop.spawn(write(*client, {Handle{"2"}}));
  loop.run();
  CHECK(order == "112233");
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

namespace {

/// Serves READ from `file`, at most `most` bytes at a time.
FakeServer::Answer reads_of(const std::string& file, std::size_t most) {
  return [&file, most](const Request& request) {
    const std::string_view body = request.body;
    const std::size_t offset = get_u32(body.substr(9));
    const std::size_t size = std::min<std::size_t>(get_u32(body.substr(13)), most);
    if (offset >= file.size()) return status(request.id, StatusCode::kEof);
    std::string rest;
    put_u32(rest, request.id);
    put_string(rest, std::string_view(file).substr(offset, size));
    return packet(PacketType::kData, rest);
  };
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a file is read to its end, in order, however little each read gives") {
  REQUIRE(start());
  std::string file;
  for (int i = 0; file.size() < 300'000; ++i) file += std::to_string(i);
  for (const std::size_t most : {32768, 10000, 1}) {
    if (most == 1) file.resize(2000);
    on[PacketType::kRead] = reads_of(file, most);
    std::string content;
    const DataSink sink = [&](std::span<const std::byte> data) {
      content.append(reinterpret_cast<const char*>(data.data()), data.size());
    };
    CHECK(run(client->read(kHandle, 1 << 20, sink)));
    CHECK(content == file);
  }
}

TEST_CASE_FIXTURE(Fixture, "a read that fails ends the reading with its error") {
  REQUIRE(start());
  on[PacketType::kRead] = [](const Request& request) {
    return status(request.id, StatusCode::kPermissionDenied);
  };
  const DataSink sink = [](std::span<const std::byte>) {};
  CHECK(run(client->read(kHandle, 1 << 20, sink)).error().kind == ErrorKind::kDenied);
  CHECK(is_alive());
}

TEST_CASE_FIXTURE(Fixture, "more data than was asked for is a breach of the protocol") {
  REQUIRE(start());
  on[PacketType::kRead] = [](const Request& request) {
    std::string rest;
    put_u32(rest, request.id);
    put_string(rest, std::string(40'000, 'x'));
    return packet(PacketType::kData, rest);
  };
  const DataSink sink = [](std::span<const std::byte>) {};
  CHECK(run(client->read(kHandle, 1 << 20, sink)).error().kind == ErrorKind::kProtocol);
  CHECK(client->error()->kind == ErrorKind::kProtocol);
}

TEST_CASE_FIXTURE(Fixture, "no more of a file is read than was asked for") {
  REQUIRE(start());
  const std::string file(100'000, 'x');
  on[PacketType::kRead] = reads_of(file, 32768);
  std::size_t size = 0;
  const DataSink sink = [&](std::span<const std::byte> data) { size += data.size(); };
  CHECK(run(client->read(kHandle, file.size(), sink)));
  CHECK(size == file.size());
  CHECK(run(client->read(kHandle, file.size() - 1, sink)).error().kind == ErrorKind::kFailed);
}

TEST_CASE_FIXTURE(Fixture,
                  "however little a server wants in a packet, it does not get that little") {
  extensions = {{"limits@openssh.com", "1"}};
  on[PacketType::kExtended] = [](const Request& request) {
    std::string rest;
    put_u32(rest, request.id);
    for (int i = 0; i < 4; ++i) {
      put_u32(rest, 0);
      put_u32(rest, 1);
    }
    return packet(PacketType::kExtendedReply, rest);
  };
  REQUIRE(start());
  CHECK(client->max_write_bytes() == 4096);
  const std::string file(100'000, 'x');
  on[PacketType::kRead] = reads_of(file, 32768);
  const DataSink sink = [](std::span<const std::byte>) {};
  CHECK(run(client->read(kHandle, file.size(), sink)));
  CHECK(count(PacketType::kRead) < 40);
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

TEST_CASE_FIXTURE(Fixture, "writes wait for their turn") {
  options.pace = [first = std::chrono::steady_clock::now()](std::size_t) {
    return first + std::chrono::milliseconds(100);
  };
  const auto begun = std::chrono::steady_clock::now();
  REQUIRE(start());
  CHECK(run(client->write(kHandle, 0, 1000, kZeros, kIgnore)));
  CHECK(std::chrono::steady_clock::now() - begun >= std::chrono::milliseconds(100));
}
