#include "transfer/deliver/publish.h"

#include <doctest/doctest.h>

#include "transfer/file_server.h"

using namespace ferry;
using namespace ferry::transfer;

namespace {

struct Fixture : transfer::testing::FileServerFixture {
  static Checksum sha256(std::string_view content) {
    Hasher hasher(HashAlgorithm::kSha256);
    hasher.update(as_bytes(content));
    return hasher.finish();
  }
  const std::string content = "hello";
  Target target{.part_path = "/in/.a.part",
                .final_path = "/in/a",
                .size = content.size(),
                .sha256 = sha256(content)};

  Result<RenameFate> fate() {
    connect();
    return run(fate_of_rename(*client, target));
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a rename was done if the final name has exactly what was sent") {
  files["/in/a"] = content;
  CHECK(fate().value() == RenameFate::kDone);
  INFO("an empty file, too");
  files["/in/a"] = "";
  target.size = 0;
  target.sha256 = sha256("");
  CHECK(fate().value() == RenameFate::kDone);
}

TEST_CASE_FIXTURE(Fixture, "while the part file is there, it was not") {
  files["/in/.a.part"] = content;
  SUBCASE("nothing has the name") {}
  SUBCASE("an older version has, of the same bytes even") {
    files["/in/a"] = content;
  }
  CHECK(fate().value() == RenameFate::kPending);
}

TEST_CASE_FIXTURE(Fixture,
                  "without a part file, what has the name is not ours if it is something else") {
  SUBCASE("nothing") {}
  SUBCASE("shorter") {
    files["/in/a"] = "hell";
  }
  SUBCASE("longer") {
    files["/in/a"] = "hello, world";
  }
  SUBCASE("of the same size") {
    files["/in/a"] = "HELLO";
  }
  CHECK(fate().value() == RenameFate::kVoid);
}

TEST_CASE_FIXTURE(Fixture, "what the server does not say of the part or the name is not guessed") {
  const auto refuse = [&](const std::string& path) {
    const auto stat = on[PacketType::kStat];
    on[PacketType::kStat] = [=](const Request& request) {
      return request.body.ends_with(path)
                 ? sftp::testing::status(request.id, StatusCode::kPermissionDenied)
                 : stat(request);
    };
  };
  files["/in/a"] = content;
  SUBCASE("the part") {
    refuse("/in/.a.part");
  }
  SUBCASE("the name") {
    refuse("/in/a");
  }
  CHECK(fate().error().kind == ErrorKind::kDenied);
}

TEST_CASE_FIXTURE(Fixture, "nor what became of it if the connection ends") {
  files["/in/a"] = content;
  connect();
  REQUIRE(run(fate_of_rename(*client, target)));
  const std::size_t requests = server->requests().size() - 1;
  for (lost_at = 1; lost_at < requests; ++lost_at) {
    CAPTURE(lost_at);
    const auto unknown = fate();
    REQUIRE_FALSE(unknown);
    CHECK(unknown.error().kind == ErrorKind::kConnectionLost);
  }
}

TEST_CASE_FIXTURE(Fixture, "a name that goes while it is looked at is not there") {
  files["/in/a"] = content;
  on[PacketType::kOpen] = [](const Request& request) {
    return sftp::testing::status(request.id, StatusCode::kNoSuchFile);
  };
  CHECK(fate().value() == RenameFate::kVoid);
}

TEST_CASE_FIXTURE(Fixture, "a name of which the content cannot be read is told as such") {
  files["/in/a"] = content;
  on[PacketType::kOpen] = [](const Request& request) {
    return sftp::testing::status(request.id, StatusCode::kPermissionDenied);
  };
  CHECK(fate().value() == RenameFate::kUnreadable);
}
