// What is peculiar to the channel through ssh(1); what it shares is in channel_contract_test.cpp.
#include <signal.h>

#include "sftp/channel_fixture.h"

using namespace ferry;
using namespace ferry::sftp;
using namespace ferry::sftp::testing;

namespace {

Result<std::unique_ptr<Channel>> connect(const ConnectOptions& options) {
  StopToken stop;
  return connect_openssh(options, stop);
}

std::vector<pid_t> own_children() {
  std::ifstream file("/proc/self/task/" + std::to_string(::gettid()) + "/children");
  return {std::istream_iterator<pid_t>(file), {}};
}

/// Of the one that was started last.
pid_t ssh_process() {
  const auto children = own_children();
  REQUIRE_FALSE(children.empty());
  return children.back();
}

}  // namespace

TEST_CASE("a killed ssh is a lost connection, and leaves no zombie") {
  OpenSshServer server;
  const auto before = own_children();
  auto channel = connect(server.connect_options());
  REQUIRE(channel.has_value());
  check_speaks_sftp(**channel);
  ::kill(ssh_process(), SIGKILL);
  const auto error = Conversation(**channel).run_until(1);
  REQUIRE(error.has_value());
  CHECK(error->kind == ErrorKind::kConnectionLost);
  CHECK(says(*error, "killed by signal 9"));
  channel->reset();
  CHECK(own_children() == before);
}

TEST_CASE("an ssh that stands still is got rid of") {
  OpenSshServer server;
  const auto before = own_children();
  auto channel = connect(server.connect_options());
  REQUIRE(channel.has_value());
  SUBCASE("stopped") {
    ::kill(ssh_process(), SIGSTOP);
  }
  SUBCASE("busy with a server that takes nothing") {
    server.freeze_connections();
    const std::string data(16'000'000, 'x');
    Conversation conversation(**channel);
    conversation.send(data);
    CHECK(conversation.run_until(1, 1s).has_value());
  }
  const auto started = std::chrono::steady_clock::now();
  channel->reset();
  CHECK(std::chrono::steady_clock::now() - started < 3s);
  CHECK(own_children() == before);
}

TEST_CASE("no process is left over where no connection came about") {
  OpenSshServer server;
  const auto before = own_children();
  ConnectOptions options = server.connect_options();
  options.identities = {server.unauthorized_key("stranger")};
  CHECK_FALSE(connect(options).has_value());
  CHECK(own_children() == before);
}

TEST_CASE("secrets that ssh would ask for are refused, and not told") {
  ConnectOptions options;
  options.host = "127.0.0.1";
  SUBCASE("password") {
    options.password = "s3cret";
  }
  SUBCASE("passphrase") {
    options.passphrase = "s3cret";
  }
  const auto channel = connect(options);
  REQUIRE_FALSE(channel.has_value());
  CHECK(channel.error().kind == ErrorKind::kInvalid);
  CHECK(says(channel.error(), "openssh transport"));
  CHECK_FALSE(channel.error().message.contains("s3cret"));
}

TEST_CASE("a host name that looks like an option is none") {
  ConnectOptions options;
  options.host = "-oProxyCommand=/nonexistent";
  const auto channel = connect(options);
  REQUIRE_FALSE(channel.has_value());
  CHECK(channel.error().kind == ErrorKind::kInvalid);
}

TEST_CASE("without ssh in the path that is said") {
  const std::string path = std::getenv("PATH");
  ::setenv("PATH", "/nonexistent", 1);
  ConnectOptions options;
  options.host = "127.0.0.1";
  const auto channel = connect(options);
  ::setenv("PATH", path.c_str(), 1);
  REQUIRE_FALSE(channel.has_value());
  CHECK(channel.error().kind == ErrorKind::kInvalid);
  CHECK(says(channel.error(), "not in $PATH"));
}

TEST_CASE("today's algorithms, which libssh2 lacks") {
  OpenSshServer server({.config = {"Ciphers aes256-gcm@openssh.com",
                                   "KexAlgorithms sntrup761x25519-sha512@openssh.com"}});
  auto channel = connect(server.connect_options());
  REQUIRE(channel.has_value());
  check_speaks_sftp(**channel);
}

TEST_CASE("rsa keys are no trouble") {
  OpenSshServer server;
  ConnectOptions options = server.connect_options();
  options.identities = {server.authorized_key("rsa", "rsa")};
  auto channel = connect(options);
  REQUIRE(channel.has_value());
  check_speaks_sftp(**channel);
}
