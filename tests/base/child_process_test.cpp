#include "ferry/base/child_process.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>

#include <array>
#include <cerrno>

#include "ferry/base/file.h"
#include "temporary_directory.h"

using namespace ferry;
using namespace std::chrono_literals;

namespace {

constexpr auto kPlenty = 60s;

Result<CommandResult> run(std::vector<std::string> argv, std::chrono::milliseconds limit = kPlenty,
                          std::vector<std::string> environment = {}, int stdin_fd = -1) {
  const StopToken stop;
  return run_command(argv, environment, stdin_fd, limit, stop);
}

Result<CommandResult> sh(const std::string& script, std::chrono::milliseconds limit = kPlenty,
                         std::vector<std::string> environment = {}, int stdin_fd = -1) {
  return run({"/bin/sh", "-c", script}, limit, std::move(environment), stdin_fd);
}

bool is_alive(pid_t pid) {
  return ::kill(pid, 0) == 0;
}

}  // namespace

TEST_CASE("a command's words reach it as they are: no shell looks at them") {
  const auto ended = run({"printf", "%s|", "a b", "$HOME", "*", "it's", ""});
  REQUIRE(ended);
  CHECK(ended->output == "a b|$HOME|*|it's||");
}

TEST_CASE("a command's exit status, output and last words are kept") {
  const auto ended = sh("echo out; echo one >&2; echo two >&2; exit 75");
  REQUIRE(ended);
  CHECK(ended->status == 75);
  CHECK(ended->output == "out\n");
  CHECK(describe_exit("check", ended->status, ended->stderr_text) == "check: exit status 75: two");
}

TEST_CASE("a command that a signal ends says which") {
  const auto ended = sh("kill -9 $$");
  REQUIRE(ended);
  CHECK(describe_exit("check", ended->status, ended->stderr_text) == "check: killed by signal 9");
}

TEST_CASE("a large exit status is not taken for a signal") {
  for (const int status : {129, 137, 192, 255}) {
    const auto ended = sh(fmt::format("exit {}", status));
    REQUIRE(ended);
    CHECK(describe_exit("check", ended->status, ended->stderr_text) ==
          fmt::format("check: exit status {}", status));
  }
}

TEST_CASE("no program is not run") {
  for (const std::vector<std::string>& argv : {std::vector<std::string>{}, {""}, {"", "x"}}) {
    const auto ended = run(argv);
    REQUIRE_FALSE(ended);
    CHECK(ended.error().kind == ErrorKind::kInvalid);
    CHECK(ended.error().message == "run: no program is named");
  }
}

TEST_CASE("of very long output the beginning is kept, of stderr the end") {
  const auto ended = sh("head -c 1000000 /dev/zero; { head -c 1000000 /dev/zero; echo end; } >&2");
  REQUIRE(ended);
  CHECK(ended->output.size() == 64 * 1024);
  CHECK(ended->stderr_text.size() <= 16 * 1024);
  CHECK(ended->stderr_text.ends_with("end\n"));
}

TEST_CASE("a command's environment is made for it: what it needs, and what it is given") {
  ::setenv("FERRY_TEST_SECRET", "ours", 1);
  ::setenv("SSH_AUTH_SOCK", "/ours", 1);
  ::setenv("LC_TIME", "C", 1);
  const auto ended = run({"env"}, kPlenty, {"FERRY_PATH=a b", "TZ=UTC"});
  ::unsetenv("FERRY_TEST_SECRET");
  ::unsetenv("SSH_AUTH_SOCK");
  ::unsetenv("LC_TIME");
  REQUIRE(ended);
  const std::string text = "\n" + ended->output;
  for (const char* line : {"\nFERRY_PATH=a b\n", "\nTZ=UTC\n", "\nLC_TIME=C\n", "\nPATH="}) {
    CHECK_MESSAGE(text.find(line) != std::string::npos, line);
  }
  CHECK(text.find("FERRY_TEST_SECRET") == std::string::npos);
  CHECK(text.find("SSH_AUTH_SOCK") == std::string::npos);
}

TEST_CASE("a variable that is given outweighs ours, and only a namesake") {
  ::setenv("LC_TIME", "C", 1);
  ::setenv("LC_TIMEZONE", "ours", 1);
  const auto ended = sh("echo $LC_TIME $LC_TIMEZONE", kPlenty, {"LC_TIME=given"});
  ::unsetenv("LC_TIME");
  ::unsetenv("LC_TIMEZONE");
  REQUIRE(ended);
  CHECK(ended->output == "given ours\n");
}

TEST_CASE("an open file can be a command's stdin; without one there is nothing to read") {
  const testing::TemporaryDirectory directory;
  const auto path = directory / "input";
  REQUIRE(replace_file(path, "from the file"));
  const auto fd = open_file(path, O_RDONLY);
  REQUIRE(fd);
  const auto fed = sh("cat", kPlenty, {}, fd->get());
  REQUIRE(fed);
  CHECK(fed->output == "from the file");
  const auto starved = sh("cat");
  REQUIRE(starved);
  CHECK(starved->output.empty());
}

TEST_CASE("a command sees none of our descriptors") {
  const UniqueFd leaky(::open("/dev/null", O_RDONLY));  // without O_CLOEXEC
  const auto ended = sh("for fd in /proc/self/fd/*; do [ -e $fd ] && echo ${fd##*/}; done; :");
  REQUIRE(ended);
  CHECK(ended->output == "0\n1\n2\n");
}

TEST_CASE("a command that runs for too long is killed with its children") {
  const testing::TemporaryDirectory directory;
  const auto pids = directory / "pids";
  const auto ended =
      sh("sleep 300 & echo $! $$ > " + pids.string() + "; while :; do sleep 1; done", 500ms);
  REQUIRE(!ended);
  CHECK(ended.error().kind == ErrorKind::kFailed);
  const auto text = read_file(pids);
  REQUIRE(text);
  const pid_t child = std::stoi(*text);
  for (int i = 0; i < 6000 && is_alive(child); ++i) ::poll(nullptr, 0, 10);
  // Its new parent may not have reaped it.
  const auto state = read_file(fs::path("/proc") / std::to_string(child) / "stat");
  CHECK((!state || state->find(") Z ") != std::string::npos));
}

TEST_CASE("a stop ends a command") {
  StopToken stop;
  stop.request_stop();
  const auto ended = run_command({"sleep", "300"}, {}, -1, kPlenty, stop);
  REQUIRE(!ended);
  CHECK(ended.error().kind == ErrorKind::kCancelled);
}

TEST_CASE("what cannot be run is named") {
  const auto ended = run({"/no/such/program"});
  REQUIRE(!ended);
  CHECK(ended.error().kind == ErrorKind::kNotFound);
  CHECK(ended.error().message.find("/no/such/program") != std::string::npos);
}

TEST_CASE("a filter gets its input and the end of it through pipes") {
  auto child =
      ChildProcess::start({.argv = {"tr", "a-z", "A-Z"}, .stdio = ChildOptions::Stdio::kPipes});
  REQUIRE(child);
  REQUIRE(write_full((*child)->input(), as_bytes("hello"), "stdin"));
  (*child)->close_input();
  REQUIRE((*child)->wait_for_exit(kPlenty));
  std::array<char, 16> buffer{};
  CHECK(::read((*child)->output(), buffer.data(), buffer.size()) == 5);
  CHECK(std::string(buffer.data()) == "HELLO");
  CHECK((*child)->exit_status() == 0);
}
