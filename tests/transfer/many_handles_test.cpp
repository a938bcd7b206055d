#include "transfer/deliver/many_handles.h"

#include <doctest/doctest.h>

#include <boost/filesystem/directory.hpp>
#include <boost/filesystem/operations.hpp>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "ferry/base/lock.h"
#include "temporary_directory.h"
#include "transfer/file_server.h"

using namespace ferry;
using namespace ferry::transfer;

namespace {

using Kind = transfer::testing::FileServerFixture::Kind;

/// Requests a stop if what it stands for takes for ever.
class Patience {
 public:
  explicit Patience(StopToken& stop)
      : thread_([this, &stop](std::stop_token ended) {
          std::unique_lock lock(mutex_);
          std::condition_variable_any end;
          end.wait_for(lock, ended, std::chrono::seconds(1), [] { return false; });
          if (!ended.stop_requested()) stop.request_stop();
        }) {}

 private:
  std::mutex mutex_;
  std::jthread thread_;
};

struct Fixture : transfer::testing::FileServerFixture {
  ferry::testing::TemporaryDirectory folder;
  KnownServers servers{folder / "servers"};

  Result<bool> try_it(Kind how) {
    kind = how;
    connect();
    return run(try_many_handles(*client, "/in/.try"));
  }
  Result<bool> ask(const std::string& destination = "b") {
    return run(servers.takes_many_handles(*client, destination, "/in"));
  }
  /// How many files were opened since the last call.
  std::size_t count_opened() { return std::exchange(opened, 0); }
  std::vector<fs::path> notes() const {
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(folder / "servers")) {
      if (entry.path().extension() == fs::path(".trying")) found.push_back(entry.path());
    }
    return found;
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a server on which files are files takes many handles") {
  CHECK(try_it(Kind::kUsual).value());
  INFO("and nothing is left there");
  CHECK(files.empty());
}

TEST_CASE_FIXTURE(Fixture, "servers that do not keep what comes through several handles") {
  SUBCASE("opening truncates") {
    CHECK_FALSE(try_it(Kind::kTruncates).value());
  }
  SUBCASE("each handle has a file of its own") {
    CHECK_FALSE(try_it(Kind::kOwnCopies).value());
  }
  SUBCASE("a second one is denied") {
    CHECK_FALSE(try_it(Kind::kDeniesSecond).value());
  }
  SUBCASE("what is there cannot be opened") {
    CHECK_FALSE(try_it(Kind::kOneObject).value());
  }
  SUBCASE("bytes have to come in order") {
    CHECK_FALSE(try_it(Kind::kInOrder).value());
  }
  SUBCASE("bytes go to the end") {
    CHECK_FALSE(try_it(Kind::kAppends).value());
  }
  CHECK(is_alive());
  CHECK(files.empty());
}

TEST_CASE_FIXTURE(Fixture, "a server on which a second handle fails for no reason that it gives") {
  const Patience patience(stop);
  const auto takes_many = try_it(Kind::kFailsSecond);
  REQUIRE(takes_many);
  CHECK_FALSE(*takes_many);
  INFO("and that takes no waiting");
  CHECK_FALSE(stop.stop_requested());
}

TEST_CASE_FIXTURE(Fixture, "a directory in which no file can be made tells nothing") {
  takes_files = false;
  const auto tried = try_it(Kind::kUsual);
  REQUIRE_FALSE(tried);
  CHECK(tried.error().kind == ErrorKind::kDenied);
}

TEST_CASE_FIXTURE(Fixture, "a connection that ends tells nothing, whenever it does") {
  kind = Kind::kUsual;
  connect();
  REQUIRE(run(try_many_handles(*client, "/in/.try")));
  const std::size_t requests = server->requests().size() - 1;  // without INIT
  REQUIRE(requests > 10);
  for (std::size_t at = 1; at < requests; ++at) {
    CAPTURE(at);
    files.clear();
    lost_at = at;
    connect();
    const auto tried = run(try_many_handles(*client, "/in/.try"));
    REQUIRE_FALSE(tried);
    CHECK(tried.error().kind == ErrorKind::kConnectionLost);
  }
}

// What is remembered.

TEST_CASE_FIXTURE(Fixture, "what was found out is remembered, yes or no") {
  bool takes_many = false;
  SUBCASE("yes") {
    kind = Kind::kUsual;
    takes_many = true;
  }
  SUBCASE("no") {
    kind = Kind::kOwnCopies;
  }
  connect();
  CHECK(ask().value() == takes_many);
  CHECK(count_opened() > 0);
  CHECK(ask().value() == takes_many);
  CHECK(count_opened() == 0);
  INFO("by any process");
  connect();
  CHECK(run(KnownServers(folder / "servers").takes_many_handles(*client, "b", "/in")).value() ==
        takes_many);
  CHECK(count_opened() == 0);
  CHECK(files.empty());
  CHECK(notes().empty());
}

TEST_CASE_FIXTURE(Fixture, "another server, or another destination, is tried anew") {
  connect();
  CHECK(ask().value());
  count_opened();
  SUBCASE("the server offers something else") {
    extensions = {{"hardlink@openssh.com", "1"}};
    kind = Kind::kOwnCopies;
    connect();
    CHECK_FALSE(ask().value());
    CHECK(count_opened() > 0);
    CHECK_FALSE(ask().value());
    CHECK(count_opened() == 0);
  }
  SUBCASE("the destination is another") {
    kind = Kind::kOwnCopies;
    CHECK_FALSE(ask("c").value());
    CHECK(count_opened() > 0);
    INFO("and the one before is still known");
    CHECK(ask("b").value());
    CHECK(count_opened() == 0);
  }
  SUBCASE("what is remembered cannot be read") {
    for (const auto& entry : fs::directory_iterator(folder / "servers")) {
      REQUIRE(replace_file(entry.path(), "{\"server\":"));
    }
    CHECK(ask().value());
    CHECK(count_opened() > 0);
  }
}

TEST_CASE_FIXTURE(Fixture, "what cannot be found out is asked for again") {
  takes_files = false;
  connect();
  CHECK(ask().error().kind == ErrorKind::kDenied);
  CHECK(notes().empty());
  takes_files = true;
  CHECK(ask().value());
}

TEST_CASE_FIXTURE(Fixture, "a full server is not one that takes a single handle") {
  is_full = true;
  connect();
  CHECK_FALSE(ask());
  CHECK(files.empty());
  is_full = false;
  CHECK(ask().value());
}

TEST_CASE_FIXTURE(Fixture, "who looks for remains while another tries takes nothing of it") {
  connect();
  REQUIRE(ask());
  fs::path note;
  for (const auto& entry : fs::directory_iterator(folder / "servers")) note = entry.path();
  note += ".trying";
  const auto lock = FileLock::try_acquire(note);
  REQUIRE(lock->has_value());
  CHECK_FALSE(servers.has_remains("b"));
  CHECK(fs::exists(note));
}

TEST_CASE_FIXTURE(Fixture, "while another agent tries it, that is to be waited for") {
  connect();
  REQUIRE(ask());
  fs::path note;
  for (const auto& entry : fs::directory_iterator(folder / "servers")) note = entry.path();
  fs::remove(note);
  note += ".trying";
  count_opened();
  {
    const auto lock = FileLock::try_acquire(note);
    REQUIRE(lock);
    REQUIRE(lock->has_value());
    REQUIRE(replace_file(folder / "x", ""));
    CHECK(ask().error().kind == ErrorKind::kBusy);
    CHECK(count_opened() == 0);
    CHECK(fs::exists(note));
  }
  CHECK(ask().value());
}

TEST_CASE_FIXTURE(Fixture, "what a connection that ended may have left is removed by the next") {
  lost_at = 4;
  connect();
  CHECK(ask().error().kind == ErrorKind::kConnectionLost);
  REQUIRE(files.size() == 1);
  CHECK(servers.has_remains("b"));
  CHECK_FALSE(servers.has_remains("c"));
  lost_at = 0;
  connect();
  SUBCASE("at once") {}
  SUBCASE("when the server comes to it later") {
    const auto late = std::exchange(files, {});
    CHECK(ask().value());
    files = late;
    CHECK(servers.has_remains("b"));
    run(servers.remove_remains(*client, "b"));
  }
  CHECK(ask().value());
  CHECK(files.empty());
  CHECK_FALSE(servers.has_remains("b"));
  CHECK(notes().empty());
}
