#include "ferry/base/directory.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/filesystem/directory.hpp>
#include <boost/filesystem/operations.hpp>
#include <cerrno>

#include "temporary_directory.h"

using namespace ferry;

namespace {

struct Fixture {
  testing::TemporaryDirectory folder;
  UniqueFd root = std::move(*open_file(folder.path(), O_RDONLY | O_DIRECTORY));

  Result<UniqueFd> open(const std::string& relative) const {
    return open_beneath(root.get(), relative, O_RDONLY);
  }
  void write(const std::string& path, std::string_view content) const {
    REQUIRE(replace_file(folder / path, content));
  }
  std::string read(const std::string& path) const { return read_file(folder / path).value(); }
  std::size_t entries(const fs::path& directory) const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(directory), fs::directory_iterator()));
  }
  mode_t mode_of(const std::string& name) const {
    return stat_at(root.get(), name).value().st_mode & 07777;
  }
};

constexpr int kSomebody = 65534;  // the account of nobody

}  // namespace

TEST_CASE_FIXTURE(Fixture, "what is opened lies below the root, and no link leads there") {
  REQUIRE(make_directories(folder / "a"));
  write("a/file", "x");
  fs::create_symlink("a", folder / "link");
  fs::create_symlink("/etc/passwd", folder / "a/passwd");
  CHECK(open("a/file"));
  CHECK(open("a/none").error().kind == ErrorKind::kNotFound);
  CHECK(open("link/file").error().kind == ErrorKind::kAbnormal);
  CHECK(open("a/passwd").error().kind == ErrorKind::kAbnormal);
  CHECK(open("../etc").error().kind == ErrorKind::kAbnormal);
  CHECK(open("/etc/passwd").error().kind == ErrorKind::kAbnormal);
  CHECK(S_ISLNK(stat_beneath(root.get(), "a/passwd").value().st_mode));
  CHECK(stat_beneath(root.get(), "link/file").error().kind == ErrorKind::kAbnormal);
}

TEST_CASE_FIXTURE(Fixture, "no open waits for the other end of a FIFO") {
  REQUIRE(::mkfifo((folder / "fifo").c_str(), 0600) == 0);
  CHECK(open("fifo"));
  CHECK(create_at(root.get(), "fifo", 0600).error().os_code == EEXIST);
}

TEST_CASE_FIXTURE(Fixture, "what is created is new, and nothing that a link names") {
  fs::create_symlink(folder / "target", folder / "link");
  CHECK(create_at(root.get(), "link", 0600).error().os_code == EEXIST);
  CHECK_FALSE(fs::exists(folder / "target"));
  CHECK(create_at(root.get(), "new", 0600));
}

TEST_CASE_FIXTURE(Fixture, "a link on the way is told from all else") {
  fs::create_symlink("a", folder / "link");
  const auto opened = open_beneath(root.get(), "link/b", O_RDONLY);
  CHECK(opened.error().kind == ErrorKind::kAbnormal);
  CHECK(opened.error().os_code == ELOOP);
}

TEST_CASE_FIXTURE(Fixture, "a rename takes no other's place") {
  write("one", "1");
  write("two", "2");
  CHECK(rename_new(root.get(), "one", root.get(), "two").error().os_code == EEXIST);
  CHECK(read("two") == "2");
  CHECK(rename_new(root.get(), "one", root.get(), "three"));
  CHECK(read("three") == "1");
  CHECK_FALSE(fs::exists(folder / "one"));
}

TEST_CASE_FIXTURE(Fixture, "missing directories are made, and links among them refused") {
  const auto made = make_parent(root.get(), "a/b/file");
  REQUIRE(made);
  CHECK(made->name == "file");
  CHECK(fs::is_directory(folder / "a/b"));
  fs::create_symlink(folder / "a", folder / "link");
  CHECK(make_parent(root.get(), "link/c/file").error().kind == ErrorKind::kAbnormal);
  CHECK_FALSE(fs::exists(folder / "a/c"));
  CHECK(open_parent(root.get(), "none/file").error().kind == ErrorKind::kNotFound);
  CHECK(open_parent(root.get(), "a/..").error().kind == ErrorKind::kInvalid);
}

TEST_CASE_FIXTURE(Fixture, "a private directory is made for its owner alone") {
  CHECK(open_private_directory(root.get(), "mine", "mine").error().kind == ErrorKind::kNotFound);
  REQUIRE(make_private_directory(root.get(), "mine", "mine"));
  CHECK(mode_of("mine") == 0700);
  CHECK(make_private_directory(root.get(), "mine", "mine"));
  REQUIRE(make_private_directory(folder / "above" / "mine"));
  CHECK((stat_beneath(root.get(), "above/mine").value().st_mode & 0777) == 0700);
}

TEST_CASE_FIXTURE(Fixture, "one of ours that others may write to is closed to them") {
  fs::create_directory(folder / "open");
  REQUIRE(::chmod((folder / "open").c_str(), 0775) == 0);
  CHECK(open_private_directory(root.get(), "open", "open"));
  CHECK(mode_of("open") == 0700);

  INFO("to be read by others does no harm");
  fs::create_directory(folder / "read");
  REQUIRE(::chmod((folder / "read").c_str(), 0755) == 0);
  CHECK(open_private_directory(folder / "read"));
  CHECK(mode_of("read") == 0755);
}

TEST_CASE_FIXTURE(Fixture, "one that is not ours is refused" * doctest::skip(::geteuid() != 0)) {
  fs::create_directory(folder / "theirs");
  REQUIRE(::chown((folder / "theirs").c_str(), kSomebody, kSomebody) == 0);
  const auto refused = make_private_directory(root.get(), "theirs", folder / "theirs");
  CHECK(refused.error().kind == ErrorKind::kDenied);
  CHECK(refused.error().message.find((folder / "theirs").string()) != std::string::npos);
  fs::create_symlink("/tmp", folder / "link");
  CHECK(make_private_directory(root.get(), "link", "link").error().kind == ErrorKind::kAbnormal);
}

TEST_CASE_FIXTURE(Fixture, "a file is replaced in one step, and no link at its name is followed") {
  write("target", "untouched");
  fs::create_symlink("target", folder / "note");
  REQUIRE(replace_at(root.get(), "note", "new", 0600));
  CHECK(read("note") == "new");
  CHECK(read("target") == "untouched");
  CHECK(mode_of("note") == 0600);
  CHECK(entries(folder.path()) == 2);

  INFO("what a crash left of an earlier one goes, and is not written through");
  fs::create_symlink("target", folder / ".note.tmp");
  REQUIRE(replace_at(root.get(), "note", "newer", 0600));
  CHECK(read("note") == "newer");
  CHECK(read("target") == "untouched");
  CHECK(entries(folder.path()) == 2);

  INFO("one that cannot be replaced leaves nothing behind");
  fs::create_directory(folder / "directory");
  CHECK_FALSE(replace_at(root.get(), "directory", "new", 0600));
  CHECK(entries(folder.path()) == 3);
}

TEST_CASE_FIXTURE(Fixture, "root may act for another account" * doctest::skip(::geteuid() != 0)) {
  act_for(kSomebody, kSomebody);
  REQUIRE(make_private_directory(root.get(), "theirs", "theirs"));
  REQUIRE(make_private_directory(folder / "above" / "theirs"));
  REQUIRE(replace_at(root.get(), "note", "x", 0600));
  for (const char* made : {"theirs", "above/theirs", "note"}) {
    CHECK(stat_beneath(root.get(), made).value().st_uid == kSomebody);
  }
  CHECK(make_private_directory(root.get(), "theirs", "theirs"));
  act_for(0, 0);
  CHECK(open_private_directory(root.get(), "theirs", "theirs").error().kind == ErrorKind::kDenied);
}
