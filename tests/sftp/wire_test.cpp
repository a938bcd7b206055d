#include "sftp/client/wire.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace ferry;
using namespace ferry::sftp;
using wire::PacketType;
using wire::StatusCode;

namespace {

/// "00 0a ff" as bytes.
std::vector<std::byte> bytes(std::string_view hex) {
  std::vector<std::byte> result;
  std::string digits;
  for (const char c : hex) {
    if (c != ' ') digits.push_back(c);
    if (digits.size() == 2) {
      result.push_back(static_cast<std::byte>(std::stoi(digits, nullptr, 16)));
      digits.clear();
    }
  }
  return result;
}

std::vector<std::byte> content(const ByteQueue& queue) {
  return {queue.data().begin(), queue.data().end()};
}

/// The packet of a whole reply given in hex without its length field.
struct Reply {
  std::vector<std::byte> raw;
  wire::Packet packet;

  explicit Reply(std::string_view hex) {
    const auto payload = bytes(hex);
    raw = bytes("00 00 00");
    raw.push_back(static_cast<std::byte>(payload.size()));
    raw.insert(raw.end(), payload.begin(), payload.end());
    REQUIRE(wire::packet_size(raw).value() == raw.size());
    packet = wire::parse_packet(raw).value();
  }
};

}  // namespace

TEST_CASE("requests have exactly the bytes that the draft says") {
  ByteQueue out;
  SUBCASE("INIT") {
    wire::append_init(out);
    CHECK(content(out) == bytes("00000005 01 00000003"));
  }
  SUBCASE("OPEN") {
    wire::append_open(out, 7, "a/b", kOpenWrite | kOpenCreate, 0644);
    CHECK(content(out) == bytes("00000018 03 00000007 00000003 612f62 0000000a 00000004 000001a4"));
  }
  SUBCASE("CLOSE") {
    wire::append_simple(out, PacketType::kClose, 8, "h");
    CHECK(content(out) == bytes("0000000a 04 00000008 00000001 68"));
  }
  SUBCASE("WRITE: the header announces the data that follows") {
    wire::append_write_header(out, 9, "h", 0x0102030405060708, 3);
    CHECK(content(out) == bytes("00000019 06 00000009 00000001 68 0102030405060708 00000003"));
    CHECK(out.size() == wire::write_header_bytes("h"));
  }
  SUBCASE("MKDIR with no attributes") {
    wire::append_mkdir(out, 10, "d");
    CHECK(content(out) == bytes("0000000e 0e 0000000a 00000001 64 00000000"));
  }
  SUBCASE("RENAME") {
    wire::append_rename(out, 11, "a", "b");
    CHECK(content(out) == bytes("0000000f 12 0000000b 00000001 61 00000001 62"));
  }
  SUBCASE("EXTENDED") {
    wire::append_extended(out, 12, "x@y", {"h"});
    CHECK(content(out) == bytes("00000011 c8 0000000c 00000003 784079 00000001 68"));
  }
}

TEST_CASE("a packet is taken only when it is whole") {
  const auto whole = bytes("00000009 65 00000001 00000000");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CHECK(wire::packet_size(std::span(whole).first(size)).value() == 0);
  }
  CHECK(wire::packet_size(whole).value() == whole.size());
}

TEST_CASE("impossible lengths are refused at once") {
  CHECK(wire::packet_size(bytes("00000000")).error().kind == ErrorKind::kProtocol);
  CHECK(wire::packet_size(bytes("00040001")).error().kind == ErrorKind::kProtocol);
  CHECK(wire::packet_size(bytes("ffffffff")).error().kind == ErrorKind::kProtocol);
  CHECK(wire::packet_size(bytes("00040000")).value() == 0);
}

TEST_CASE("VERSION with its extensions") {
  const Reply reply("02 00000003 00000003 782d79 00000001 31");
  const auto version = wire::parse_version(reply.packet).value();
  CHECK(version.version == 3);
  CHECK(version.extensions.at("x-y") == "1");
}

TEST_CASE("STATUS") {
  SUBCASE("ok") {
    const auto status =
        wire::parse_status(Reply("65 00000001 00000000 00000000 00000000").packet).value();
    CHECK(status.code == StatusCode::kOk);
  }
  SUBCASE("without message and language, as some servers send it") {
    CHECK(wire::parse_status(Reply("65 00000001 00000002").packet).value().code ==
          StatusCode::kNoSuchFile);
  }
  SUBCASE("what a terminal would obey is taken out of the message") {
    const auto status =
        wire::parse_status(Reply("65 00000001 00000004 00000003 1b5b41 00000000").packet).value();
    CHECK(status.message == "\\x1b[A");
  }
  SUBCASE("a message longer than the packet") {
    CHECK(wire::parse_status(Reply("65 00000001 00000004 7fffffff 41").packet).value().message ==
          "");
  }
  SUBCASE("cut short") {
    CHECK(wire::parse_status(Reply("65 00000001 0000").packet).error().kind ==
          ErrorKind::kProtocol);
  }
}

TEST_CASE("a status becomes the error that its reader acts upon") {
  const auto kind = [](StatusCode code) { return wire::status_error({code, ""}).kind; };
  CHECK(kind(StatusCode::kNoSuchFile) == ErrorKind::kNotFound);
  CHECK(kind(StatusCode::kPermissionDenied) == ErrorKind::kDenied);
  CHECK(kind(StatusCode::kFailure) == ErrorKind::kFailed);
  CHECK(kind(StatusCode::kConnectionLost) == ErrorKind::kConnectionLost);
  CHECK(kind(static_cast<StatusCode>(4711)) == ErrorKind::kFailed);
  CHECK(wire::status_error({StatusCode::kFailure, "Failure"}).message == "failure");
  CHECK(wire::status_error({StatusCode::kFailure, "quota"}).message == "failure (quota)");
}

TEST_CASE("HANDLE") {
  CHECK(wire::parse_handle(Reply("66 00000001 00000002 0001").packet).value().bytes ==
        std::string("\0\1", 2));
  CHECK(wire::parse_handle(Reply("66 00000001 00000003 0001").packet).error().kind ==
        ErrorKind::kProtocol);
  CHECK(wire::parse_handle(Reply("67 00000001 00000000").packet).error().kind ==
        ErrorKind::kProtocol);
}

TEST_CASE("a handle longer than the draft allows is refused") {
  std::vector<std::byte> raw = bytes("0000010a 66 00000001 00000101");
  raw.resize(raw.size() + 257);
  const auto packet = wire::parse_packet(raw).value();
  CHECK(wire::parse_handle(packet).error().kind == ErrorKind::kProtocol);
}

TEST_CASE("ATTRS: each field is there only where its flag is") {
  SUBCASE("all") {
    const auto attributes =
        wire::parse_attributes(
            Reply("69 00000001 0000000f 0000000000000102 00000000 00000000 000081a4 00000001 "
                  "00000002")
                .packet)
            .value();
    CHECK(attributes.size == 0x102);
    CHECK(attributes.permissions == 0100644);
    CHECK(attributes.modified == 2);
  }
  SUBCASE("none") {
    const auto attributes = wire::parse_attributes(Reply("69 00000001 00000000").packet).value();
    CHECK_FALSE(attributes.size);
    CHECK_FALSE(attributes.permissions);
  }
  SUBCASE("a size that was announced and is missing") {
    CHECK(wire::parse_attributes(Reply("69 00000001 00000001 0000").packet).error().kind ==
          ErrorKind::kProtocol);
  }
}

TEST_CASE("NAME must hold exactly one") {
  CHECK(
      wire::parse_single_name(Reply("68 00000001 00000001 00000002 2f61 00000000 00000000").packet)
          .value() == "/a");
  CHECK(wire::parse_single_name(Reply("68 00000001 00000000").packet).error().kind ==
        ErrorKind::kProtocol);
}

TEST_CASE("extended replies") {
  const auto limits =
      wire::parse_limits(Reply("c9 00000001 0000000000040000 000000000003fc00 000000000003fc00 "
                               "00000000000003fb")
                             .packet)
          .value();
  CHECK(limits.max_packet_bytes == 262144);
  CHECK(limits.max_write_bytes == 261120);
  CHECK(limits.max_open_handles == 1019);
  const auto space = wire::parse_statvfs(Reply("c9 00000001 0000000000001000 0000000000000200 "
                                               "0000000000000009 0000000000000008 0000000000000003")
                                             .packet)
                         .value();
  CHECK(space.available_bytes == 3 * 512);
  CHECK(wire::parse_statvfs(Reply("c9 00000001 0000000000001000 ffffffffffffffff "
                                  "0000000000000009 0000000000000008 ffffffffffffffff")
                                .packet)
            .value()
            .available_bytes == std::numeric_limits<std::uint64_t>::max());
}

TEST_CASE("no packet that is cut short is believed, and none makes us read past its end") {
  const std::vector<std::string> replies{
      "02 00000003 00000003 782d79 00000001 31",
      "66 00000001 00000002 0001",
      "69 00000001 0000000f 0000000000000102 00000000 00000000 000081a4 00000001 00000002",
      "68 00000001 00000001 00000002 2f61",
      "c9 00000001 0000000000040000 000000000003fc00 000000000003fc00 00000000000003fb",
  };
  for (const std::string& hex : replies) {
    const auto payload = bytes(hex);
    for (std::size_t size = 5; size < payload.size(); ++size) {
      // On the heap and exactly as long, so that AddressSanitizer sees a read behind it.
      std::vector<std::byte> raw(bytes("000000ff"));
      raw.insert(raw.end(), payload.begin(), payload.begin() + static_cast<std::ptrdiff_t>(size));
      raw.shrink_to_fit();
      const auto packet = wire::parse_packet(raw);
      if (!packet) continue;
      if (packet->type == PacketType::kVersion) {
        CHECK((size == 5 || !wire::parse_version(*packet)));
      }
      CHECK_FALSE(wire::parse_handle(*packet));
      CHECK_FALSE(wire::parse_attributes(*packet));
      CHECK_FALSE(wire::parse_single_name(*packet));
      CHECK_FALSE(wire::parse_limits(*packet));
    }
  }
}
