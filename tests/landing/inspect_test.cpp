#include "landing/inspect.h"

#include <doctest/doctest.h>

#include "landing/files.h"

using namespace ferry;
using namespace ferry::landing;
using namespace ferry::landing::test;
using namespace std::chrono_literals;
using Outcome = Inspection::Outcome;

namespace {

struct Inspecting {
  TemporaryDirectory dir;
  std::atomic<bool> cancelled{false};
  Inspector inspector{cancelled};
  std::optional<FileIdentity> known;

  Inspection look(const std::string& path) {
    return inspector.inspect(
        *Root::find(dir.path()), {path, std::nullopt}, 2s,
        [&](const std::string&, const FileIdentity& it) { return known == it; });
  }
  /// The answer once the last timestamp tick has passed.
  Inspection settled(const std::string& path) {
    for (;;) {
      Inspection inspection = look(path);
      if (inspection.outcome != Outcome::kUnsettled || !inspection.wait) return inspection;
    }
  }
};

}  // namespace

TEST_CASE_FIXTURE(Inspecting, "a closed file is hashed") {
  put(dir / "a", "hello");
  const Inspection inspection = settled("a");
  CHECK(inspection.outcome == Outcome::kHashed);
  CHECK(inspection.identity == identity(dir / "a"));
  CHECK(inspection.checksum.to_string() ==
        "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
}

TEST_CASE_FIXTURE(Inspecting, "a file of several blocks, and an empty one, are hashed whole") {
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1} << 20, (std::size_t{3} << 20) + 1}) {
    const std::string content(size, 'x');
    put(dir / "a", content);
    Hasher hasher(HashAlgorithm::kSha256);
    hasher.update(as_bytes(content));
    CHECK(settled("a").checksum == hasher.finish());
  }
}

TEST_CASE_FIXTURE(Inspecting, "a file that was changed just now is left for a timestamp tick") {
  put(dir / "a", "x");
  const Inspection inspection = look("a");
  CHECK(inspection.outcome == Outcome::kUnsettled);
  REQUIRE(inspection.wait);
  CHECK(*inspection.wait < 50ms);
}

TEST_CASE_FIXTURE(Inspecting, "a file that somebody has open for writing is not settled") {
  OpenFile writer(dir / "a");
  writer.write("half");
  CHECK(settled("a").outcome == Outcome::kUnsettled);
  writer.close();
  CHECK(settled("a").outcome == Outcome::kHashed);
}

TEST_CASE_FIXTURE(Inspecting, "readers do not matter") {
  put(dir / "a", "x");
  const UniqueFd reader(::open((dir / "a").c_str(), O_RDONLY));
  CHECK(settled("a").outcome == Outcome::kHashed);
}

TEST_CASE_FIXTURE(Inspecting, "what the registry knows is not read") {
  put(dir / "a", "x");
  known = identity(dir / "a");
  CHECK(look("a").outcome == Outcome::kKnown);
}

TEST_CASE_FIXTURE(Inspecting, "a name that is gone, also together with its directory") {
  CHECK(look("a").outcome == Outcome::kGone);
  CHECK(look("no/such/a").outcome == Outcome::kGone);
  put(dir / "file", "x");
  CHECK(look("file/a").outcome == Outcome::kGone);
}

TEST_CASE_FIXTURE(Inspecting,
                  "what is not a regular file is not opened, and said to be what it is") {
  ::symlink("/etc/passwd", (dir / "link").c_str());
  ::mkfifo((dir / "fifo").c_str(), 0644);
  fs::create_directory(dir / "directory");
  for (const auto& [name, kind] :
       {std::pair{"link", "a symbolic link"}, std::pair{"fifo", "a FIFO"},
        std::pair{"directory", "a directory"}}) {
    CHECK(look(name).outcome == Outcome::kNotRegular);
    CHECK(look(name).reason == std::string("it is ") + kind);
  }
}

TEST_CASE_FIXTURE(Inspecting, "a symbolic link on the way is not followed") {
  fs::create_directory(dir / "real");
  put(dir / "real/a", "x");
  ::symlink("real", (dir / "link").c_str());
  CHECK(look("link/a").outcome == Outcome::kNotRegular);
  CHECK(look("../a").outcome == Outcome::kNotRegular);
}

TEST_CASE_FIXTURE(Inspecting,
                  "a root that another directory has replaced says nothing about files") {
  const fs::path root_path = dir / "root";
  fs::create_directory(root_path);
  const auto root = Root::find(root_path);
  fs::rename(root_path, dir / "old");
  fs::create_directory(root_path);
  const auto inspection =
      inspector.inspect(*root, {"a", std::nullopt}, 2s, [](auto&&...) { return false; });
  CHECK(inspection.outcome == Outcome::kRootLost);
}

TEST_CASE_FIXTURE(Inspecting, "a stop breaks off") {
  put(dir / "a", "x");
  settled("a");
  cancelled = true;
  CHECK(settled("a").outcome == Outcome::kCancelled);
}

TEST_CASE("a root must be a directory that is there") {
  const TemporaryDirectory dir;
  CHECK(Root::find(dir / "none").error().kind == ErrorKind::kNotFound);
  put(dir / "file", "x");
  CHECK_FALSE(Root::find(dir / "file"));
}

TEST_CASE("file systems without events are recognised") {
  CHECK(is_remote_file_system(0x6969));            // NFS
  CHECK(is_remote_file_system(0xFF534D42));        // CIFS
  CHECK(is_remote_file_system(0xFE534D42));        // SMB2
  CHECK(is_remote_file_system(0x65735546));        // FUSE
  CHECK(is_remote_file_system(0x01021997));        // 9p
  CHECK_FALSE(is_remote_file_system(0xEF53));      // ext4
  CHECK_FALSE(is_remote_file_system(0x58465342));  // XFS
  CHECK_FALSE(is_remote_file_system(0x01021994));  // tmpfs
}
