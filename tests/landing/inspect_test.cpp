#include "landing/register/inspect.h"

#include <doctest/doctest.h>
#include <sys/resource.h>

#include "landing/files.h"

using namespace ferry;
using namespace ferry::landing;
using namespace ferry::landing::test;
using namespace std::chrono_literals;
using Outcome = Inspection::Outcome;

namespace {

struct Inspecting {
  TemporaryDirectory dir;
  StopToken cancelled;
  Pulse pulse;
  Inspector inspector{cancelled, pulse};
  std::unique_ptr<HashProgress> progress;
  std::optional<FileIdentity> known;
  bool accepted = false;
  InspectionRules rules{
      .landing = "in", .settle = 2s, .is_accepted = [&](const std::string&, const Checksum&) {
        return accepted;
      }};

  Inspection look(const std::string& path) {
    const auto root = Root::find(dir.path());
    return inspector.inspect(OpenRoot(*root), {path, std::nullopt}, known, rules, progress);
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
  for (const auto& [name, kind] :
       {std::pair{"link", "a symbolic link"}, std::pair{"fifo", "a FIFO"}}) {
    CHECK(look(name).outcome == Outcome::kAbnormal);
    CHECK(look(name).reason == std::string("it is ") + kind);
  }
}

TEST_CASE_FIXTURE(Inspecting, "a file is gone if a directory has its name") {
  fs::create_directory(dir / "directory");
  CHECK(look("directory").outcome == Outcome::kGone);
}

TEST_CASE_FIXTURE(Inspecting, "a symbolic link on the way is not followed") {
  fs::create_directory(dir / "real");
  put(dir / "real/a", "x");
  ::symlink("real", (dir / "link").c_str());
  CHECK(look("link/a").outcome == Outcome::kEscapes);
  CHECK(look("../a").outcome == Outcome::kEscapes);
}

TEST_CASE_FIXTURE(Inspecting,
                  "a name that the registry cannot hold is abnormal once it is settled") {
  for (const auto& [name, problem] : {std::pair{"bad\xff", "its name is not valid UTF-8"},
                                      std::pair{"two\nlines", "control characters in its name"}}) {
    OpenFile writer(dir / name);
    CHECK(settled(name).outcome == Outcome::kUnsettled);
    writer.close();
    const Inspection inspection = settled(name);
    CHECK(inspection.outcome == Outcome::kAbnormal);
    CHECK(inspection.reason == problem);
    CHECK(inspection.identity == identity(dir / name));
  }
}

TEST_CASE_FIXTURE(Inspecting, "a path that the kernel does not take is too long") {
  CHECK(look(std::string(300, 'x')).reason == "its path is too long");
}

TEST_CASE_FIXTURE(Inspecting, "what the policy refuses is hashed all the same") {
  rules.acceptance.empty = EmptyFiles::kQuarantine;
  put(dir / "a", "");
  const Inspection inspection = settled("a");
  CHECK(inspection.outcome == Outcome::kRefused);
  CHECK(inspection.reason == "it is empty");
  CHECK(inspection.checksum.to_string().starts_with("sha256:e3b0c442"));
  accepted = true;
  CHECK(settled("a").outcome == Outcome::kHashed);
}

TEST_CASE_FIXTURE(Inspecting, "what a person let go is not judged again, if it is what was held") {
  rules.acceptance.max_size = 1;
  put(dir / "a", "hello");
  const Inspection refused = settled("a");
  REQUIRE(refused.outcome == Outcome::kRefused);
  std::optional<ReleaseMark> mark{{.path = "a", .checksum = refused.checksum, .reason = "let go"}};
  rules.released = [&](int, const FileIdentity&) { return mark; };
  CHECK(settled("a").outcome == Outcome::kHashed);
  CHECK(settled("a").reason == "let go");
  mark->path = "b";
  CHECK(settled("a").outcome == Outcome::kRefused);
  mark->path = "a";
  mark->checksum = {};
  CHECK(settled("a").outcome == Outcome::kRefused);
}

TEST_CASE_FIXTURE(Inspecting, "magic bytes are looked for in the file") {
  rules.acceptance.magic = {*MagicBytes::parse("504b0304")};
  put(dir / "a.zip", "PK\x03\x04...");
  put(dir / "b.zip", "something else");
  CHECK(settled("a.zip").outcome == Outcome::kHashed);
  CHECK(settled("b.zip").reason == "it starts with 736f6d65, not with 504b0304");
}

TEST_CASE_FIXTURE(Inspecting, "the validating command is given the file and what is known of it") {
  rules.acceptance.validate = {"sh", "-c",
                               "test \"$FERRY_LANDING $FERRY_PATH $FERRY_SIZE $(cat)\" = "
                               "'in a 5 hello' || { echo 'no good' >&2; exit 3; }"};
  put(dir / "a", "hello");
  put(dir / "b", "hello");
  CHECK(settled("a").outcome == Outcome::kHashed);
  CHECK(settled("b").outcome == Outcome::kRefused);
  CHECK(settled("b").reason == "sh: exit status 3: no good");
}

TEST_CASE_FIXTURE(Inspecting,
                  "a validating command that cannot do its work is not the file's fault") {
  put(dir / "a", "x");
  rules.acceptance.validate = {"/no/such/program"};
  CHECK(settled("a").outcome == Outcome::kUnreadable);
  rules.acceptance.validate = {"sh", "-c", "exit 127"};
  CHECK(settled("a").outcome == Outcome::kUnreadable);
  rules.acceptance.validate = {"sh", "-c", "kill -9 $$"};
  CHECK(settled("a").outcome == Outcome::kUnreadable);
}

TEST_CASE_FIXTURE(Inspecting, "a validating command that takes too long refuses the file") {
  put(dir / "a", "x");
  rules.acceptance.validate = {"sleep", "600"};
  rules.acceptance.validate_timeout = 50ms;
  CHECK(settled("a").outcome == Outcome::kRefused);
}

TEST_CASE_FIXTURE(Inspecting, "a file has to reach the age that the policy wants") {
  put(dir / "a", "x");
  rules.acceptance.min_age = 1h;
  Inspection inspection = look("a");
  while (inspection.outcome == Outcome::kUnsettled && inspection.reason.empty()) {
    inspection = look("a");
  }
  CHECK(inspection.reason == "it is younger than min_age");
  CHECK(*inspection.wait > 59min);
}

TEST_CASE_FIXTURE(Inspecting,
                  "a root that another directory has replaced says nothing about files") {
  const fs::path root_path = dir / "root";
  fs::create_directory(root_path);
  const auto root = Root::find(root_path);
  fs::rename(root_path, dir / "old");
  fs::create_directory(root_path);
  const auto inspection =
      inspector.inspect(OpenRoot(*root), {"a", std::nullopt}, std::nullopt, rules, progress);
  CHECK(inspection.outcome == Outcome::kRootLost);
}

TEST_CASE_FIXTURE(Inspecting, "a stop breaks off") {
  put(dir / "a", "x");
  settled("a");
  cancelled.request_stop();
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

TEST_CASE_FIXTURE(Inspecting, "a large file is hashed in pieces, and as one") {
  const std::uint64_t size = 2 * Inspector::kPieceBytes + 12345;
  const auto make = [&](const char* name, char last) {
    const UniqueFd fd(::open((dir / name).c_str(), O_RDWR | O_CREAT, 0644));
    REQUIRE(::ftruncate(fd.get(), static_cast<off_t>(size)) == 0);
    REQUIRE(::pwrite(fd.get(), &last, 1, static_cast<off_t>(size - 1)) == 1);
  };
  make("a", 'x');
  int pieces = 0;
  Inspection inspection = settled("a");
  for (; inspection.outcome == Outcome::kLarge; inspection = settled("a")) {
    REQUIRE(progress);
    CHECK(progress->offset == static_cast<std::uint64_t>(pieces++) * Inspector::kPieceBytes);
  }
  CHECK(pieces == 3);
  CHECK(inspection.outcome == Outcome::kHashed);
  CHECK_FALSE(progress);
  std::vector<std::byte> buffer(1 << 20);
  const UniqueFd fd(::open((dir / "a").c_str(), O_RDONLY));
  CHECK(inspection.checksum == hash_content(fd.get(), "a", buffer, cancelled)->checksum);

  INFO("one that is replaced meanwhile begins anew");
  CHECK(settled("a").outcome == Outcome::kLarge);
  CHECK(settled("a").outcome == Outcome::kLarge);
  CHECK(progress->offset == Inspector::kPieceBytes);
  make("b", 'y');
  fs::rename(dir / "b", dir / "a");
  CHECK(settled("a").outcome == Outcome::kLarge);
  CHECK(progress->offset == 0);
  CHECK(progress->identity == identity(dir / "a"));
}

TEST_CASE_FIXTURE(Inspecting, "what is too large is refused without being read") {
  rules.acceptance.max_size = 1000;
  put(dir / "a", "");
  REQUIRE(::truncate((dir / "a").c_str(), off_t{1} << 42) == 0);
  const Inspection inspection = settled("a");
  CHECK(inspection.outcome == Outcome::kUnread);
  CHECK(inspection.reason.find("more than max_size (1000)") != std::string::npos);
  CHECK(inspection.identity == identity(dir / "a"));
}

TEST_CASE_FIXTURE(Inspecting, "too many open files are no answer to whether a file is there") {
  put(dir / "a", "x");
  const Root root = *Root::find(dir.path());
  const auto is_full = [&] { return ::fcntl(0, F_DUPFD_CLOEXEC, 1000) < 0; };
  struct rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  const struct rlimit few{.rlim_cur = 0, .rlim_max = before.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &few);
  const bool was_full = is_full();
  const Inspection inspection =
      inspector.inspect(OpenRoot(root), {"a", std::nullopt}, std::nullopt, rules, progress);
  ::setrlimit(RLIMIT_NOFILE, &before);
  CHECK(was_full);
  CHECK(inspection.outcome == Outcome::kUnreadable);
  CHECK(inspection.reason.find("Too many open files") != std::string::npos);
}
