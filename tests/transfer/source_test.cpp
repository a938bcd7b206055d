#include "transfer/source/source_opener.h"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <boost/filesystem/operations.hpp>
#include <vector>

#include "temporary_directory.h"

using namespace ferry;
using namespace ferry::transfer;

namespace {

constexpr std::string_view kMd5OfAbc = "900150983cd24fb0d6963f7d28e17f72";

struct Fixture {
  testing::TemporaryDirectory landing;
  LocalRoot root{std::move(*open_file(landing.path(), O_PATH | O_DIRECTORY))};
  StopToken stop;
  sftp::EventLoop loop{stop};
  SourceOpener sources{loop};
  metastore::FileRecord record;
  FileIdentity meant;

  Fixture() {
    record.path = "file";
    land("abc");
  }

  fs::path path() const { return landing.path() / "file"; }
  void land(std::string_view content) const { CHECK(replace_file(path(), content)); }
  void registered_as(std::string_view checksum) {
    record.checksum = Checksum::parse(checksum).value();
  }
  void registered_with_identity() {
    struct stat status{};
    REQUIRE(::stat(path().c_str(), &status) == 0);
    record.identity = identity_of(status);
    Hasher hasher(HashAlgorithm::kSha256);
    hasher.update(as_bytes(read_file(path()).value()));
    record.checksum = hasher.finish();
  }
  Result<CheckedSource> check() {
    return loop.wait_for(check_source(sources, &root, record, meant));
  }
  std::string complaint() {
    const auto result = check();
    REQUIRE_FALSE(result);
    CHECK(result.error().kind == ErrorKind::kAbnormal);
    return result.error().message;
  }
  bool complains_of(std::string_view words) { return complaint().find(words) != std::string::npos; }

  Result<void> send(const CheckedSource& checked, const std::function<void()>& meanwhile) {
    const std::uint64_t size = checked.identity.size;
    auto source = loop.wait_for(sources.open(&root, "file", checked.identity, {0, size}));
    if (!source) return source.error();
    SourceStream stream(std::move(*source), "file", checked.sha256);
    std::vector<std::byte> buffer(checked.identity.size);
    meanwhile();
    if (auto read = stream.read(0, buffer); !read) return read;
    return loop.wait_for(stream.verify());
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "an unchanged identity vouches for the registered checksum") {
  registered_with_identity();
  CHECK(check().value().sha256 == record.checksum);
}

TEST_CASE_FIXTURE(Fixture, "without an identity the content must match, under any algorithm") {
  registered_as(kMd5OfAbc);
  const auto checked = check().value();
  CHECK(checked.identity.size == 3);
  CHECK(checked.sha256.to_string() ==
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_CASE_FIXTURE(Fixture, "a changed identity with the same content is the same file") {
  registered_with_identity();
  land("abc");
  CHECK(check());
}

TEST_CASE_FIXTURE(Fixture, "other content is refused, and both checksums are named") {
  registered_as(kMd5OfAbc);
  land("abd");
  CHECK(complains_of(kMd5OfAbc));
  CHECK(complains_of("md5:4911e516e5aa21d327512e0c8b197616"));
}

TEST_CASE_FIXTURE(
    Fixture, "a file of other content is the one that is meant unless the record knows better") {
  struct stat status{};
  SUBCASE("its identity is recorded") {
    registered_with_identity();
    const FileIdentity recorded = *record.identity;
    land("abd");
    CHECK_FALSE(check());
    CHECK(meant == recorded);
  }
  SUBCASE("it is not") {
    registered_as(kMd5OfAbc);
    land("abd");
    CHECK_FALSE(check());
    REQUIRE(::stat(path().c_str(), &status) == 0);
    CHECK(meant == identity_of(status));
  }
  SUBCASE("it is not, and nothing is there") {
    registered_as(kMd5OfAbc);
    fs::remove(path());
    CHECK_FALSE(check());
    CHECK(meant == FileIdentity{});
  }
}

TEST_CASE_FIXTURE(Fixture, "what is not a regular file below the landing area is refused") {
  registered_with_identity();
  fs::remove(path());
  SUBCASE("gone") {
    CHECK(complains_of("not in the landing area"));
  }
  SUBCASE("a symbolic link") {
    fs::create_symlink("/etc/passwd", path());
    CHECK(complains_of("symbolic link"));
  }
  SUBCASE("a FIFO, which must not make us wait") {
    REQUIRE(::mkfifo(path().c_str(), 0600) == 0);
    CHECK(complains_of("not a regular file"));
  }
  SUBCASE("a directory") {
    fs::create_directory(path());
    CHECK(complains_of("not a regular file"));
  }
}

TEST_CASE_FIXTURE(Fixture, "what changes while it is sent is noticed before it is published") {
  registered_with_identity();
  const auto checked = check().value();
  const auto overwrite = [&](std::string_view content) {
    const auto fd = open_file(path(), O_WRONLY);
    CHECK(write_full(fd->get(), as_bytes(content), path()));
  };
  CHECK(send(checked, [] {}));
  CHECK_FALSE(send(checked, [&] { overwrite("xyz"); }));
  INFO("and also before it is opened");
  CHECK_FALSE(send(checked, [] {}));
}

TEST_CASE_FIXTURE(Fixture, "a file that becomes shorter is noticed") {
  registered_with_identity();
  const auto checked = check().value();
  CHECK_FALSE(send(checked, [&] { fs::resize_file(path(), 1); }));
}
