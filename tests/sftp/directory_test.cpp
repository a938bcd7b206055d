// Listing directories of servers that nobody trusts.
#include <doctest/doctest.h>

#include "sftp/client_fixture.h"

using namespace ferry;
using namespace ferry::sftp;
using namespace ferry::sftp::testing;
using wire::PacketType;
using wire::StatusCode;

namespace {

struct Name {
  std::string name;
  std::uint32_t mode = 0100644;
  std::uint32_t size = 3;
};

std::string names(std::uint32_t id, const std::vector<Name>& entries,
                  std::optional<std::uint32_t> count = std::nullopt) {
  std::string rest;
  put_u32(rest, id);
  put_u32(rest, count.value_or(static_cast<std::uint32_t>(entries.size())));
  for (const Name& entry : entries) {
    put_string(rest, entry.name);
    put_string(rest, "-rw-r--r-- 1 what ls(1) prints");
    put_u32(rest, 0x8000000D);  // size, permissions, times, extended
    put_u32(rest, 0);
    put_u32(rest, entry.size);
    put_u32(rest, entry.mode);
    put_u32(rest, 1);
    put_u32(rest, 1'700'000'000);
    put_u32(rest, 1);
    put_string(rest, "attribute@example.org");
    put_string(rest, "value");
  }
  return packet(PacketType::kName, rest);
}

struct Listing : Fixture {
  std::vector<std::vector<Name>> replies;  // then the end

  Result<std::vector<DirectoryEntry>> list(std::size_t enough = Client::kMaxListedNames + 1) {
    on[PacketType::kOpendir] = [](const Request& request) { return handle(request.id, "d"); };
    if (!on.contains(PacketType::kReaddir)) {
      on[PacketType::kReaddir] = [this](const Request& request) {
        if (next_ == replies.size()) return status(request.id, StatusCode::kEof);
        return names(request.id, replies[next_++]);
      };
    }
    REQUIRE(start());
    return run(client->list("dir", enough));
  }

 private:
  std::size_t next_ = 0;
};

}  // namespace

TEST_CASE_FIXTURE(Listing, "a directory is read to its end, and closed") {
  replies = {{{"."}, {".."}, {"a"}}, {}, {{"sub", 0040755}, {"link", 0120777}}};
  const auto entries = list();
  REQUIRE(entries);
  REQUIRE(entries->size() == 3);
  CHECK(entries->at(0).name == "a");
  CHECK(is_regular(entries->at(0).attributes));
  CHECK(identity_of(entries->at(0).attributes)->size == 3);
  CHECK(identity_of(entries->at(0).attributes)->mtime_ns == 1'700'000'000'000'000'000);
  CHECK(is_directory(entries->at(1).attributes));
  CHECK_FALSE(is_regular(entries->at(2).attributes));
  CHECK(count(PacketType::kClose) == 1);
}

TEST_CASE_FIXTURE(Listing, "no more of a directory is read than is enough") {
  replies = {{{"."}, {".."}}, {{"a"}, {"b"}}, {{"c"}}};
  CHECK(list(1).value().size() == 2);
  CHECK(count(PacketType::kReaddir) == 2);
  CHECK(count(PacketType::kClose) == 1);
}

TEST_CASE_FIXTURE(Listing, "names that would lead elsewhere are refused") {
  for (const std::string& name :
       {std::string("../x"), std::string("/etc"), std::string(), std::string("a\0b", 3)}) {
    CAPTURE(name);
    Listing each;
    each.replies = {{{"good"}, {name}}};
    CHECK(each.list().error().kind == ErrorKind::kProtocol);
  }
}

TEST_CASE_FIXTURE(Listing, "a count that is more than there are is refused without making room") {
  on[PacketType::kReaddir] = [](const Request& request) {
    return names(request.id, {{"a"}}, 0xFFFFFFFF);
  };
  CHECK(list().error().kind == ErrorKind::kProtocol);
}

TEST_CASE_FIXTURE(Listing, "a directory without end is given up, and closed") {
  const std::vector<Name> many(1000, Name{"n"});
  on[PacketType::kReaddir] = [&](const Request& request) { return names(request.id, many); };
  CHECK(list().error().kind == ErrorKind::kFailed);
  CHECK(count(PacketType::kClose) == 1);
  CHECK(count(PacketType::kReaddir) == Client::kMaxListedNames / 1000 + 1);
}

TEST_CASE_FIXTURE(Listing, "an error while reading is the listing's") {
  on[PacketType::kReaddir] = [](const Request& request) {
    return status(request.id, StatusCode::kPermissionDenied);
  };
  CHECK(list().error().kind == ErrorKind::kDenied);
  CHECK(count(PacketType::kClose) == 1);
}

TEST_CASE_FIXTURE(Listing, "a listing that never ends is given up") {
  on[PacketType::kReaddir] = [](const Request& request) {
    return names(request.id, {{.name = "."}, {.name = ".."}});
  };
  CHECK(list().error().kind == ErrorKind::kFailed);
  CHECK(!client->error());
}

TEST_CASE_FIXTURE(Listing, "more bytes of names than any directory has are refused") {
  unsigned i = 0;
  on[PacketType::kReaddir] = [&](const Request& request) {
    std::vector<Name> entries;
    for (int k = 0; k < 50; ++k) {
      entries.push_back({.name = std::to_string(++i) + std::string(4000, 'n')});
    }
    return names(request.id, entries);
  };
  CHECK(list().error().message.find("64 MiB of names") != std::string::npos);
}

TEST_CASE_FIXTURE(Listing, "a name longer than any file system takes is a breach of the protocol") {
  replies = {{{.name = std::string(5000, 'n')}}};
  CHECK(list().error().kind == ErrorKind::kProtocol);
}
