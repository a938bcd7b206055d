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

TEST_CASE_FIXTURE(Fixture, "writes wait for their turn") {
  options.pace = [first = std::chrono::steady_clock::now()](std::size_t) {
    return first + std::chrono::milliseconds(100);
  };
  const auto begun = std::chrono::steady_clock::now();
  REQUIRE(start());
  CHECK(run(client->write(kHandle, 0, 1000, kZeros, kIgnore)));
  CHECK(std::chrono::steady_clock::now() - begun >= std::chrono::milliseconds(100));
}
