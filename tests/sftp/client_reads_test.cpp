#include "ferry/sftp/client.h"

#include <doctest/doctest.h>

#include "sftp/client_fixture.h"

using namespace ferry;
using namespace ferry::sftp;
using namespace ferry::sftp::testing;
using wire::PacketType;
using wire::StatusCode;

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
    return limits(request.id, {1, 1, 1, 1});
  };
  REQUIRE(start());
  await_limits();
  CHECK(client->max_write_bytes() == 4096);
  const std::string file(100'000, 'x');
  on[PacketType::kRead] = reads_of(file, 32768);
  const DataSink sink = [](std::span<const std::byte>) {};
  CHECK(run(client->read(kHandle, file.size(), sink)));
  CHECK(count(PacketType::kRead) < 40);
}
