#include "ferry/base/lock.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>

#include "temporary_directory.h"

using namespace ferry;
using std::chrono::milliseconds;

namespace {

struct Fixture {
  testing::TemporaryDirectory directory;
  fs::path path = directory.path() / "lock";
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "one holder at a time, within one process too") {
  auto first = FileLock::try_acquire(path).value();
  REQUIRE(first);
  CHECK_FALSE(FileLock::try_acquire(path).value());
  CHECK(FileLock::acquire(path, milliseconds(10)).error().kind == ErrorKind::kBusy);
  first.reset();
  CHECK(FileLock::try_acquire(path).value());
}

TEST_CASE_FIXTURE(Fixture, "is_held tells without taking") {
  CHECK_FALSE(FileLock::is_held(path).value());
  const auto lock = FileLock::acquire(path, milliseconds(0));
  CHECK(FileLock::is_held(path).value());
}

TEST_CASE_FIXTURE(Fixture, "a lock dies with its holder, however that ends") {
  int ready[2];
  REQUIRE(::pipe(ready) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto lock = FileLock::acquire(path, milliseconds(0));
    const char held = lock ? 'y' : 'n';
    if (::write(ready[1], &held, 1) == 1) ::pause();
    ::_exit(0);
  }
  char held = 0;
  REQUIRE(::read(ready[0], &held, 1) == 1);
  CHECK(held == 'y');
  CHECK(FileLock::is_held(path).value());
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  CHECK_FALSE(FileLock::is_held(path).value());
  ::close(ready[0]);
  ::close(ready[1]);
}
