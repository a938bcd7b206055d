#include "transfer/verify/remote_checksums.h"

#include <doctest/doctest.h>

#include "transfer/agent_fixture.h"

using namespace ferry;
using namespace ferry::transfer;
using namespace ferry::transfer::testing;

namespace {

struct Fixture : AgentFixture {
  Fixture() { options.verify = Verify::kRemoteCommand; }

  void over(sftp::Transport transport) { destination.connect.transport = transport; }
};

const std::string kOfHello = AgentFixture::sha256("hello").to_string().substr(7);

}  // namespace

TEST_CASE("checksums are read from what sha256sum writes") {
  const auto found = checksums_in("Welcome!\n" + kOfHello + "  /a b\n\\" + kOfHello +
                                  "  /new\\nline\r\n" + kOfHello);
  REQUIRE(found.size() == 3);
  for (const Checksum& checksum : found) CHECK(checksum == AgentFixture::sha256("hello"));
}

TEST_CASE("what is no checksum is none") {
  CHECK(checksums_in("").empty());
  CHECK(checksums_in("sha256sum: /a: No such file or directory\n").empty());
  CHECK(checksums_in("/a  " + kOfHello + "\n").empty());
  CHECK(checksums_in(kOfHello.substr(1) + "  /a\n").empty());
}

TEST_CASE_FIXTURE(Fixture, "files are verified at B by sha256sum, whatever their names") {
  SUBCASE("libssh2") {
    over(sftp::Transport::kLibssh2);
  }
  SUBCASE("openssh") {
    over(sftp::Transport::kOpenSsh);
  }
  const std::vector<std::string> names = {
      "plain",    "with space",  "it's",      "$(touch pwned)", "`touch pwned`",
      "-n",       "back\\slash", "new\nline", "semi;colon",     "größe",
      "quote\"d", "#",           "d/*"};
  for (const std::string& name : names) land_and_register(name, "content of " + name);
  land_and_register("large", pattern(9'000'000));
  const auto summary = run();
  REQUIRE(summary);
  CHECK(summary->failed == 0);
  CHECK(summary->successful == names.size() + 1);
  CHECK(read_file(remote("it's")).value() == "content of it's");
  CHECK_FALSE(only_batch(summary).control_file.empty());
}

TEST_CASE_FIXTURE(Fixture, "what the server keeps otherwise than it was sent is found") {
  land_and_register("small", "hello");
  land_and_register("large", pattern(9'000'000));
  recorder.on_progress = [&] {
    for (const auto& entry : fs::directory_iterator(server.root())) {
      if (entry.path().filename().string().starts_with(".large")) spoil(entry.path());
    }
  };
  const auto summary = run();
  REQUIRE(summary);
  CHECK(summary->successful == 1);
  CHECK(recorder.failed.at("large").message.contains("gives back"));
  CHECK_FALSE(fs::exists(remote("large")));
}

TEST_CASE_FIXTURE(Fixture, "many files share a command") {
  options.verify_command = {
      "sh", "-c", "echo run >> " + (folder.path() / "runs").string() + "; exec sha256sum \"$@\"",
      "sh"};
  destination.connections = 1;
  constexpr int kFiles = 100;
  for (int i = 0; i < kFiles; ++i) land_and_register("f" + std::to_string(i), "hello");
  CHECK(run()->successful == kFiles);
  const auto runs = read_file(folder.path() / "runs").value();
  CHECK(std::ranges::count(runs, '\n') < kFiles / 4);
}

TEST_CASE_FIXTURE(Fixture, "a command that takes one file at a time serves too") {
  options.verify_command = {"sh", "-c", "exec sha256sum \"$1\"", "sh"};
  for (int i = 0; i < 5; ++i) land_and_register("f" + std::to_string(i), std::to_string(i));
  CHECK(run()->successful == 5);
}

TEST_CASE_FIXTURE(Fixture, "where there is no such command that is said, with what to do") {
  SUBCASE("libssh2") {
    over(sftp::Transport::kLibssh2);
  }
  SUBCASE("openssh") {
    over(sftp::Transport::kOpenSsh);
  }
  land_and_register("a", "1");
  options.verify_command = {"/nonexistent/hasher"};
  const auto summary = run();
  REQUIRE(summary);
  CHECK(summary->failed == 1);
  const Error error = recorder.failed.at("a");
  CHECK(error.kind == ErrorKind::kFailed);
  for (const char* words : {"/nonexistent/hasher", "status 127", "verify_command", "readback"}) {
    CHECK(error.message.contains(words));
  }
  CHECK(names_at_destination().empty());
}

TEST_CASE("an account without a shell") {
  const sftp::testing::OpenSshServer closed({.config = {"ForceCommand internal-sftp"}});
  Fixture fixture;
  fixture.destination.connect = closed.connect_options();
  fixture.destination.directory = closed.root().string();
  SUBCASE("libssh2") {
    fixture.over(sftp::Transport::kLibssh2);
  }
  SUBCASE("openssh") {
    fixture.over(sftp::Transport::kOpenSsh);
  }
  fixture.land_and_register("a", "1");
  REQUIRE(fixture.run());
  const Error error = fixture.recorder.failed.at("a");
  CHECK(error.kind == ErrorKind::kFailed);
  CHECK(error.message.contains("needs a shell there"));
  CHECK(fs::is_empty(closed.root()));
}

TEST_CASE_FIXTURE(Fixture, "another algorithm's checksum is not taken for ours") {
  options.verify_command = {"md5sum"};
  land_and_register("a", "1");
  REQUIRE(run());
  CHECK(recorder.failed.at("a").message.contains("md5:"));
}

TEST_CASE_FIXTURE(Fixture, "a command's connection that ends is no end of the other one") {
  land_and_register("a", "1");
  const fs::path once = folder.path() / "once";
  // The first time it takes its own connection along; "sleep" is what it would go on with.
  options.verify_command = {
      "sh", "-c",
      "mkdir " + once.string() + " && { kill -9 $PPID; sleep 5; }; exec sha256sum \"$@\"", "sh"};
  CHECK(run()->successful == 1);
  CHECK(fs::exists(once));
}

TEST_CASE_FIXTURE(Fixture, "what may pass is tried again as often as was asked, the rest once") {
  land_and_register("a", "1");
  options.retries.limit = 2;
  const std::string runs = (folder.path() / "runs").string();
  const auto command = [&](const std::string& then) {
    return std::vector<std::string>{"sh", "-c", "echo run >> " + runs + "; " + then, "sh"};
  };
  SUBCASE("a lost connection") {
    options.retries.first_delay = std::chrono::seconds(1);
    options.verify_command = command("kill -9 $PPID; sleep 5");
    const auto summary = run();
    REQUIRE(summary);
    CHECK(recorder.failed.at("a").kind == ErrorKind::kUnreachable);
    CHECK(read_file(runs).value() == "run\nrun\nrun\n");
    INFO("after at least half of each wait");
    CHECK(summary->duration >= options.retries.first_delay * 3 / 2);
  }
  SUBCASE("a command that gives no checksum") {
    options.verify_command = command("true");
    REQUIRE(run());
    CHECK(recorder.failed.at("a").kind == ErrorKind::kFailed);
    CHECK(read_file(runs).value() == "run\n");
  }
}
