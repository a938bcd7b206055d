#include "transfer/take_away.h"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <boost/filesystem/directory.hpp>
#include <boost/filesystem/operations.hpp>

#include "temporary_directory.h"

using namespace ferry;
using namespace ferry::transfer;

namespace {

struct Fixture {
  testing::TemporaryDirectory folder;
  fs::path landing = folder / "landing";
  UniqueFd root;

  Fixture() {
    REQUIRE(make_directories(landing / "in"));
    root = std::move(*open_file(landing, O_PATH | O_DIRECTORY));
  }

  void write(const std::string& path, std::string_view content) const {
    REQUIRE(replace_file(landing / path, content));
  }
  /// What the registry says of the file as it is now.
  metastore::FileRecord record(const std::string& path) const {
    metastore::FileRecord file;
    file.id = "id/1";
    file.path = path;
    struct stat status{};
    REQUIRE(::stat((landing / path).c_str(), &status) == 0);
    file.identity = identity_of(status);
    Hasher hasher(HashAlgorithm::kSha256);
    hasher.update(as_bytes(read_file(landing / path).value()));
    file.checksum = hasher.finish();
    return file;
  }
  std::size_t entries(const fs::path& directory) const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(directory), fs::directory_iterator()));
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "the version that was meant goes, and nothing of it is left") {
  write("in/a", "x");
  CHECK(delete_source(root.get(), record("in/a")).value() == Taken::kAway);
  CHECK(entries(landing / "in") == 0);
}

TEST_CASE_FIXTURE(Fixture, "another version stays, and so does its directory") {
  write("in/a", "x");
  const auto old = record("in/a");
  write("in/a", "y");
  CHECK(delete_source(root.get(), old).value() == Taken::kNewer);
  CHECK(archive_source(root.get(), old, folder / "archive").value() == Taken::kNewer);
  CHECK(read_file(landing / "in/a").value() == "y");
  CHECK(entries(landing / "in") == 1);
}

TEST_CASE_FIXTURE(Fixture, "what is gone is gone") {
  write("in/a", "x");
  const auto old = record("in/a");
  fs::remove(landing / "in/a");
  CHECK(delete_source(root.get(), old).value() == Taken::kGone);
  fs::remove_all(landing / "in");
  CHECK(delete_source(root.get(), old).value() == Taken::kGone);
}

TEST_CASE_FIXTURE(Fixture, "a link in its place is not followed") {
  write("in/a", "x");
  const auto old = record("in/a");
  fs::rename(landing / "in/a", landing / "in/elsewhere");
  fs::create_symlink("elsewhere", landing / "in/a");
  CHECK(delete_source(root.get(), old).value() == Taken::kNewer);
  CHECK(entries(landing / "in") == 2);
}

TEST_CASE_FIXTURE(Fixture, "without an identity the content decides") {
  write("in/a", "x");
  auto known = record("in/a");
  known.identity.reset();
  auto other = known;
  other.checksum.digest[0] ^= std::byte{1};
  CHECK(delete_source(root.get(), other).value() == Taken::kNewer);
  CHECK(delete_source(root.get(), known).value() == Taken::kAway);
}

TEST_CASE_FIXTURE(Fixture, "after a crash the next call goes on, and spares what came meanwhile") {
  write("in/a", "x");
  const auto old = record("in/a");
  INFO("find out the hidden name: an archive that cannot be written stops in the middle");
  REQUIRE(make_directories(folder / "archive" / "in" / "a"));
  REQUIRE(make_directories(folder / "archive" / "in" / "a.id_1"));
  CHECK_FALSE(archive_source(root.get(), old, folder / "archive"));
  CHECK_FALSE(fs::exists(landing / "in/a"));
  CHECK(entries(landing / "in") == 1);
  write("in/a", "newer");
  CHECK(delete_source(root.get(), old).value() == Taken::kAway);
  CHECK(entries(landing / "in") == 1);
  CHECK(read_file(landing / "in/a").value() == "newer");
}

TEST_CASE_FIXTURE(Fixture, "an archive may lie on another file system") {
  const fs::path shm = "/dev/shm";
  if (!fs::exists(shm)) return;
  const fs::path archive = shm / fs::unique_path("ferry-archive-%%%%%%%%");
  write("in/a", std::string(3 << 20, 'x'));
  CHECK(archive_source(root.get(), record("in/a"), archive).value() == Taken::kAway);
  CHECK(read_file(archive / "in/a").value() == std::string(3 << 20, 'x'));
  CHECK(entries(landing / "in") == 0);
  CHECK(entries(archive / "in") == 1);
  fs::remove_all(archive);
}
