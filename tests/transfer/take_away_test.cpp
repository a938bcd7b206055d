#include "transfer/after_delivery/take_away.h"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <boost/filesystem/directory.hpp>
#include <boost/filesystem/operations.hpp>

#include "ferry/base/directory.h"
#include "temporary_directory.h"
#include "transfer/after_delivery/archive.h"
#include "transfer/after_delivery/take_away_lines.h"

using namespace ferry;
using namespace ferry::transfer;

namespace {

struct Fixture {
  testing::TemporaryDirectory folder;
  fs::path landing = folder / "landing";
  fs::path archive = folder / "archive";
  UniqueFd root;

  Fixture() {
    REQUIRE(make_directories(landing / "in"));
    root = std::move(*open_file(landing, O_RDONLY | O_DIRECTORY));
  }

  void write(const std::string& path, std::string_view content) const {
    REQUIRE(replace_file(landing / path, content));
  }
  /// What the registry says of the file as it is now.
  metastore::FileRecord record(const std::string& path) const {
    metastore::FileRecord file;
    file.id = "id1";
    file.path = path;
    file.landing = "in";
    struct stat status{};
    REQUIRE(::stat((landing / path).c_str(), &status) == 0);
    file.identity = identity_of(status);
    Hasher hasher(HashAlgorithm::kSha256);
    hasher.update(as_bytes(read_file(landing / path).value()));
    file.checksum = hasher.finish();
    return file;
  }
  TakeAway take(const metastore::FileRecord& file, const fs::path& to = {}) const {
    TakeAway what{.file = file, .archive = to.string(), .private_name = make_private_name()};
    take_away(root.get(), what);
    return what;
  }
  Taken deleted(const metastore::FileRecord& file) const { return take(file).outcome.value(); }
  Taken archived(const metastore::FileRecord& file) const {
    return take(file, archive).outcome.value();
  }
  std::string read(const fs::path& path) const { return read_file(path).value(); }
  std::size_t entries(const fs::path& directory) const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(directory), fs::directory_iterator()));
  }
  std::size_t arriving() const { return entries(archive / ".arriving"); }
};

/// An archive on another file system; without one, tests of it show nothing.
struct Elsewhere : Fixture {
  Elsewhere() {
    const fs::path shm = "/dev/shm";
    struct stat here{};
    struct stat there{};
    REQUIRE(::stat(landing.c_str(), &here) == 0);
    is_another = ::stat(shm.c_str(), &there) == 0 && here.st_dev != there.st_dev;
    if (is_another) archive = shm / fs::unique_path("ferry-archive-%%%%%%%%");
  }
  Elsewhere(const Elsewhere&) = delete;
  Elsewhere& operator=(const Elsewhere&) = delete;
  ~Elsewhere() { fs::remove_all(archive); }

  bool is_another = false;
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "the version that was meant goes, and nothing of it is left") {
  write("in/a", "x");
  CHECK(deleted(record("in/a")) == Taken::kAway);
  CHECK(entries(landing / "in") == 0);
}

TEST_CASE_FIXTURE(Fixture, "another version stays, and so does its directory") {
  write("in/a", "x");
  const auto old = record("in/a");
  write("in/a", "y");
  CHECK(deleted(old) == Taken::kNewer);
  CHECK(archived(old) == Taken::kNewer);
  CHECK(read(landing / "in/a") == "y");
  CHECK(entries(landing / "in") == 1);
}

TEST_CASE_FIXTURE(Fixture, "what is gone is gone") {
  write("in/a", "x");
  const auto old = record("in/a");
  fs::remove(landing / "in/a");
  CHECK(deleted(old) == Taken::kGone);
  CHECK(archived(old) == Taken::kGone);
  fs::remove_all(landing / "in");
  CHECK(deleted(old) == Taken::kGone);
  CHECK(archived(old) == Taken::kGone);
}

TEST_CASE_FIXTURE(Fixture, "a link in its place is not followed") {
  write("in/a", "x");
  const auto old = record("in/a");
  fs::rename(landing / "in/a", landing / "in/elsewhere");
  fs::create_symlink("elsewhere", landing / "in/a");
  CHECK(deleted(old) == Taken::kNewer);
  CHECK(archived(old) == Taken::kNewer);
  CHECK(entries(landing / "in") == 2);
  CHECK(arriving() == 0);
}

TEST_CASE_FIXTURE(Fixture, "without an identity the content decides") {
  write("in/a", "x");
  auto known = record("in/a");
  known.identity.reset();
  auto other = known;
  other.checksum.digest[0] ^= std::byte{1};
  CHECK(deleted(other) == Taken::kNewer);
  CHECK(archived(other) == Taken::kNewer);
  CHECK(archived(known) == Taken::kAway);
}

TEST_CASE_FIXTURE(Fixture, "an archived file keeps its path, and takes no other's place") {
  for (const char* content : {"first", "second", "third"}) {
    write("in/a", content);
    CHECK(archived(record("in/a")) == Taken::kAway);
  }
  CHECK(read(archive / "in/a") == "first");
  CHECK(read(archive / "in/a.id1") == "second");
  CHECK(entries(archive / "in") == 3);
  CHECK(entries(landing / "in") == 0);
  CHECK(arriving() == 0);
}

TEST_CASE_FIXTURE(Fixture, "a file that cannot be archived stays where it is, under its name") {
  write("in/a", "x");
  const auto file = record("in/a");
  REQUIRE(make_directories(archive));
  REQUIRE(replace_file(archive / "in", "no directory"));
  const TakeAway what = take(file, archive);
  CHECK_FALSE(what.outcome);
  CHECK_FALSE(what.is_under_way);
  CHECK(record("in/a").identity == file.identity);
}

TEST_CASE_FIXTURE(Fixture, "links in an archive are not followed") {
  write("in/a", "x");
  REQUIRE(make_directories(folder / "outside"));
  REQUIRE(make_directories(archive));
  fs::create_symlink(folder / "outside", archive / "in");
  CHECK_FALSE(take(record("in/a"), archive).outcome);
  CHECK(entries(folder / "outside") == 0);
  CHECK(read(landing / "in/a") == "x");
}

TEST_CASE_FIXTURE(Fixture,
                  "an archive of another account is refused" * doctest::skip(::geteuid() != 0)) {
  write("in/a", "x");
  REQUIRE(make_directories(archive));
  REQUIRE(::chown(archive.c_str(), 65534, 65534) == 0);
  CHECK(take(record("in/a"), archive).outcome.error().kind == ErrorKind::kDenied);
  CHECK(read(landing / "in/a") == "x");
}

TEST_CASE_FIXTURE(Fixture, "what was cut short between two renames is finished") {
  write("in/a", "x");
  TakeAway what{.file = record("in/a"), .archive = archive.string(), .private_name = ".private"};
  REQUIRE(Archive::open(archive));
  fs::rename(landing / "in/a", archive / ".arriving/.private");
  write("in/a", "newer");
  take_away(root.get(), what);
  CHECK(what.outcome.value() == Taken::kAway);
  CHECK(read(archive / "in/a") == "x");
  CHECK(read(landing / "in/a") == "newer");

  TakeAway removal{.file = record("in/a"), .private_name = ".private"};
  fs::rename(landing / "in/a", landing / "in/.private");
  write("in/a", "newest");
  take_away(root.get(), removal);
  CHECK(removal.outcome.value() == Taken::kAway);
  CHECK(entries(landing / "in") == 1);
  CHECK(read(landing / "in/a") == "newest");
}

TEST_CASE_FIXTURE(Fixture, "another version that was taken by mistake gets its name back") {
  write("in/a", "x");
  const TakeAway planned{
      .file = record("in/a"), .archive = archive.string(), .private_name = ".private"};
  REQUIRE(Archive::open(archive));
  write("in/b", "newer");
  fs::rename(landing / "in/b", archive / ".arriving/.private");
  fs::remove(landing / "in/a");
  TakeAway what = planned;
  take_away(root.get(), what);
  CHECK(what.outcome.value() == Taken::kNewer);
  CHECK(read(landing / "in/a") == "newer");

  INFO("as soon as the name is free");
  fs::rename(landing / "in/a", archive / ".arriving/.private");
  write("in/a", "newest");
  what = planned;
  take_away(root.get(), what);
  CHECK_FALSE(what.outcome);
  CHECK(what.is_under_way);
  CHECK(read(landing / "in/a") == "newest");
  CHECK(arriving() == 1);
}

TEST_CASE_FIXTURE(Elsewhere, "an archive may lie on another file system") {
  if (!is_another) return;
  write("in/a", std::string(3 << 20, 'x'));
  const auto file = record("in/a");
  CHECK(archived(file) == Taken::kAway);
  CHECK(read(archive / "in/a") == std::string(3 << 20, 'x'));
  CHECK(entries(landing / "in") == 0);
  CHECK(entries(archive / "in") == 1);
  CHECK(arriving() == 0);
  struct stat copied{};
  REQUIRE(::stat((archive / "in/a").c_str(), &copied) == 0);
  CHECK(identity_of(copied).mtime_ns == file.identity->mtime_ns);
}

TEST_CASE_FIXTURE(Elsewhere, "a copy with another checksum than the registry's is none") {
  if (!is_another) return;
  write("in/a", "x");
  auto file = record("in/a");
  file.checksum.digest[0] ^= std::byte{1};
  const TakeAway what = take(file, archive);
  CHECK(what.outcome.error().kind == ErrorKind::kAbnormal);
  CHECK_FALSE(what.is_under_way);
  CHECK(read(landing / "in/a") == "x");
  CHECK(arriving() == 0);
  CHECK(entries(archive / "in") == 0);
}

TEST_CASE_FIXTURE(Elsewhere, "no crash leaves a second copy, or half of one") {
  if (!is_another) return;
  write("in/a", "x");
  const auto file = record("in/a");
  const TakeAway planned{.file = file, .archive = archive.string(), .private_name = ".private"};
  REQUIRE(Archive::open(archive));

  INFO("while it was copied");
  REQUIRE(replace_file(archive / ".arriving/.private.copy.part", "half"));
  SUBCASE("and no further") {}
  INFO("with the copy whole, and the source in its place");
  SUBCASE("when the copy was whole") {
    REQUIRE(replace_file(archive / ".arriving/.private.copy", "x"));
  }
  INFO("with the source under its private name");
  SUBCASE("when the source was about to be removed") {
    REQUIRE(replace_file(archive / ".arriving/.private.copy", "x"));
    fs::rename(landing / "in/a", landing / "in/.private");
  }
  INFO("with the source removed");
  SUBCASE("when the source was removed") {
    REQUIRE(replace_file(archive / ".arriving/.private.copy", "x"));
    fs::remove(landing / "in/a");
  }
  TakeAway what = planned;
  take_away(root.get(), what);
  CHECK(what.outcome.value() == Taken::kAway);
  CHECK(entries(landing / "in") == 0);
  CHECK(entries(archive / "in") == 1);
  CHECK(read(archive / "in/a") == "x");
}

TEST_CASE_FIXTURE(Fixture, "what is to be taken away is read as it was written") {
  write("in/a", "x");
  std::vector<TakeAway> files(2);
  for (TakeAway& what : files) what = {.file = record("in/a"), .private_name = make_private_name()};
  files[1].archive = "/srv/archive";
  const std::string text = to_lines(files) + "\n";
  const auto read = parse_take_aways(text + R"({"file":)");
  REQUIRE(read.size() == 2);
  CHECK(read[0].deletes());
  CHECK(read[1].archive == "/srv/archive");
  CHECK(read[1].private_name == files[1].private_name);
  CHECK(read[1].file.identity == files[1].file.identity);
  CHECK(read[1].file.landing == "in");
  CHECK(parse_take_aways("{}\n[]\nx\n{\"file\":{}}\n").empty());
}
