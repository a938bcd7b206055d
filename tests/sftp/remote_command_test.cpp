// Commands at a real server: the same cases for both transports.
#include "ferry/sftp/remote_command.h"

#include "sftp/channel_fixture.h"

using namespace ferry;
using namespace ferry::sftp;
using namespace ferry::sftp::testing;

namespace {

template <typename T>
Result<CommandEnd> run_by(ConnectOptions account, const std::string& command,
                          std::chrono::milliseconds limit = 120s) {
  account.transport = T::kTransport;
  StopToken stop;
  return run_remote_command(account, command, limit, stop);
}

}  // namespace

TEST_CASE("a shell takes each word as it is") {
  CHECK(shell_quoted(std::vector<std::string>{"sha256sum", "/a b"}) == "'sha256sum' '/a b'");
  CHECK(shell_quoted(std::vector<std::string>{"it's", ""}) == R"('it'\''s' '')");
}

TEST_CASE_TEMPLATE("what a command writes is read to its end", T, Libssh2, OpenSsh) {
  OpenSshServer server;
  const auto short_text = run_by<T>(server.connect_options(), "echo hello; sleep 0.2; echo again");
  REQUIRE(short_text);
  CHECK(short_text->output == "hello\nagain\n");
  const auto long_text = run_by<T>(server.connect_options(), "head -c 900000 /dev/zero");
  REQUIRE(long_text);
  CHECK(long_text->output == std::string(900'000, '\0'));
}

TEST_CASE_TEMPLATE("a command gets no input", T, Libssh2, OpenSsh) {
  OpenSshServer server;
  CHECK(run_by<T>(server.connect_options(), "cat; echo done")->output == "done\n");
}

TEST_CASE_TEMPLATE("hostile words do no harm", T, Libssh2, OpenSsh) {
  OpenSshServer server;
  const fs::path trap = server.folder() / "trap";
  for (const std::string& word : {"$(touch " + trap.string() + ")", "`touch " + trap.string() + "`",
                                  "'; touch " + trap.string() + " #", std::string("a\nb"),
                                  std::string("\\ \" ! * ~ {a,b}")}) {
    const auto end = run_by<T>(server.connect_options(),
                               shell_quoted(std::vector<std::string>{"printf", "%s", word}));
    REQUIRE(end);
    CHECK(end->output == word);
  }
  CHECK_FALSE(fs::exists(trap));
}

TEST_CASE_TEMPLATE("how a command failed is told", T, Libssh2, OpenSsh) {
  OpenSshServer server;
  const auto end = run_by<T>(server.connect_options(), "echo some; echo 'no luck' >&2; exit 3");
  REQUIRE(end);
  CHECK(end->how.contains("status 3"));
  CHECK(end->how.contains("no luck"));
  CHECK(end->how.contains(server.host()));
}

TEST_CASE_TEMPLATE("a program that is not there", T, Libssh2, OpenSsh) {
  OpenSshServer server;
  const auto end = run_by<T>(server.connect_options(), "'/nonexistent/sha256sum' '/x'");
  REQUIRE(end);
  CHECK(end->how.contains("status 127"));
  CHECK(end->how.contains("/nonexistent/sha256sum"));
}

TEST_CASE_TEMPLATE("an account for sftp only", T, Libssh2, OpenSsh) {
  OpenSshServer server({.config = {"ForceCommand internal-sftp"}});
  const auto end = run_by<T>(server.connect_options(), "echo hello");
  REQUIRE(end);
  CHECK_FALSE(end->output.contains("hello"));
}

TEST_CASE_TEMPLATE("a command that goes on and on", T, Libssh2, OpenSsh) {
  OpenSshServer server;
  SUBCASE("in silence") {
    const auto end = run_by<T>(server.connect_options(), "exec sleep 5", 300ms);
    REQUIRE_FALSE(end);
    CHECK(end.error().kind == ErrorKind::kConnectionLost);
    CHECK(says(end.error(), "did not end within 0.3 s"));
  }
  SUBCASE("talking") {
    const auto end = run_by<T>(server.connect_options(), "exec yes");
    REQUIRE_FALSE(end);
    CHECK(says(end.error(), "without end"));
  }
}

TEST_CASE_TEMPLATE("a connection that ends before the command", T, Libssh2, OpenSsh) {
  OpenSshServer server;
  const fs::path begun = server.folder() / "begun";
  auto end = std::async(std::launch::async, [&] {
    return run_by<T>(server.connect_options(), "touch " + begun.string() + "; exec sleep 60");
  });
  REQUIRE(eventually([&] { return fs::exists(begun); }, 60s));
  server.cut_connections();
  const auto ended = end.get();
  REQUIRE_FALSE(ended);
  CHECK(ended.error().kind == ErrorKind::kConnectionLost);
}

TEST_CASE_TEMPLATE("stderr does not mix with the output, however much it is", T, Libssh2, OpenSsh) {
  OpenSshServer server;
  const auto end = run_by<T>(server.connect_options(),
                             "for i in 1 2 3; do printf noise >&2; printf $i; done;"
                             "head -c 200000 /dev/zero >&2; echo >&2; echo last >&2");
  REQUIRE(end);
  CHECK(end->output == "123");
  CHECK(end->how.contains("last"));
}
