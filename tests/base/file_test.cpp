#include "ferry/base/file.h"
#include "ferry/base/input.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <boost/filesystem/directory.hpp>
#include <boost/filesystem/operations.hpp>
#include <vector>

#include "temporary_directory.h"

using namespace ferry;

namespace {

struct Fixture {
  testing::TemporaryDirectory directory;
  fs::path path = directory.path() / "table";

  std::size_t entries() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(directory.path()), fs::directory_iterator()));
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a replaced file has the new content, and nothing lies beside it") {
  REQUIRE(replace_file(path, "old"));
  REQUIRE(replace_file(path, "new"));
  CHECK(read_file(path).value() == "new");
  CHECK(entries() == 1);
}

TEST_CASE_FIXTURE(Fixture,
                  "a replacement that fails leaves the old content and no temporary file") {
  REQUIRE(make_directories(path));
  CHECK_FALSE(replace_file(path, "new"));
  CHECK(fs::is_directory(path));
  CHECK(entries() == 1);
}

TEST_CASE_FIXTURE(Fixture, "errors name the file and the cause") {
  const auto missing = read_file(path);
  CHECK(missing.error().kind == ErrorKind::kNotFound);
  CHECK(missing.error().message.find(path.string()) != std::string::npos);
  CHECK(missing.error().message.find("No such file") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "files that hide their size are read whole") {
  CHECK(read_file("/proc/self/status").value().starts_with("Name:"));
}

TEST_CASE_FIXTURE(Fixture, "a FIFO that nobody uses is waited for by nobody who opens it") {
  const auto pipe = directory.path() / "pipe";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  CHECK(open_file(pipe, O_RDONLY));
  CHECK_FALSE(open_file(pipe, O_WRONLY | O_CREAT));
  StopToken stop;
  stop.request_stop();
  CHECK(read_input(pipe, 100, stop).error().kind == ErrorKind::kCancelled);
}

TEST_CASE_FIXTURE(Fixture, "what a user names has bounds") {
  REQUIRE(replace_file(path, "12345"));
  CHECK(read_input(path, 5, StopToken()).value() == "12345");
  CHECK(read_input(path, 4, StopToken()).error().kind == ErrorKind::kInvalid);
}

TEST_CASE_FIXTURE(Fixture, "a pipe is read if a user may name one, and refused otherwise") {
  const auto pipe = directory.path() / "pipe";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  const auto refused = read_file(pipe);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find("not a regular file") != std::string::npos);
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const UniqueFd reading(ends[0]);
  {
    const UniqueFd writing(ends[1]);
    REQUIRE(write_full(writing.get(), as_bytes("said"), pipe));
  }
  CHECK(read_input(fmt::format("/dev/fd/{}", reading.get()), 100, StopToken()).value() == "said");
}

TEST_CASE_FIXTURE(Fixture, "reading past the end returns what there was") {
  REQUIRE(replace_file(path, "12345"));
  const auto fd = open_file(path, O_RDONLY);
  std::vector<std::byte> buffer(10);
  CHECK(pread_full(fd->get(), buffer, 3, path).value() == 2);
  CHECK(pread_full(fd->get(), buffer, 9, path).value() == 0);
}

TEST_CASE_FIXTURE(Fixture, "what root creates belongs to whom its directory belongs" *
                               doctest::skip(::geteuid() != 0)) {
  constexpr uid_t kSomebody = 65534;
  const auto owner = [&](const fs::path& name) {
    struct stat status{};
    REQUIRE(::stat((directory.path() / name).c_str(), &status) == 0);
    return status.st_uid;
  };
  const fs::path theirs = directory.path() / "theirs";
  const fs::path ours = directory.path() / "ours";
  REQUIRE(make_directories(theirs));
  REQUIRE(::chown(theirs.c_str(), kSomebody, kSomebody) == 0);
  REQUIRE(make_directories(theirs / "a" / "b"));
  REQUIRE(open_file(theirs / "a" / "b" / "file", O_WRONLY | O_CREAT));
  CHECK(owner("theirs/a") == kSomebody);
  CHECK(owner("theirs/a/b/file") == kSomebody);
  REQUIRE(replace_file(theirs / "a" / "b" / "file", "new"));
  CHECK(owner("theirs/a/b/file") == kSomebody);

  INFO("but not what is there already, by whatever name");
  REQUIRE(replace_file(ours, "secret"));
  REQUIRE(::symlink(ours.c_str(), (theirs / "link").c_str()) == 0);
  REQUIRE(open_file(theirs / "link", O_WRONLY | O_CREAT));
  CHECK(owner("ours") == 0);
}

TEST_CASE_FIXTURE(Fixture, "identity follows a change of the bytes and of the inode") {
  const auto identity = [&] {
    struct stat status{};
    ::stat(path.c_str(), &status);
    return identity_of(status);
  };
  REQUIRE(replace_file(path, "one"));
  const auto first = identity();
  CHECK(identity() == first);
  REQUIRE(replace_file(path, "two"));
  CHECK(identity() != first);
}

TEST_CASE_FIXTURE(Fixture, "whatever the umask is, others may not write to a directory of ours") {
  const mode_t usual = ::umask(0);
  const auto made = make_directories(directory.path() / "a" / "b");
  ::umask(usual);
  REQUIRE(made);
  for (const fs::path& made_now : {directory.path() / "a", directory.path() / "a" / "b"}) {
    struct stat status{};
    REQUIRE(::stat(made_now.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0755);
  }
  CHECK(make_directories(directory.path() / "a"));
  REQUIRE(replace_file(path, "a file"));
  CHECK(make_directories(path).error().message.find("File exists") != std::string::npos);
}
