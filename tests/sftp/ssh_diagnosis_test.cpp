#include "sftp/ssh_diagnosis.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "sftp/ssh_command.h"

using namespace ferry;
using namespace ferry::sftp;

namespace {

ConnectOptions options() {
  ConnectOptions options;
  options.host = "host";
  return options;
}

Error end_of(std::string_view text, SshEnd::Phase phase = SshEnd::Phase::kConnecting,
             std::optional<int> status = 255) {
  return diagnose({.phase = phase, .stderr_text = text, .status = status}, options());
}

bool has(const std::vector<std::string>& words, std::string_view word) {
  return std::ranges::find(words, word) != words.end();
}

}  // namespace

TEST_CASE("ssh's words tell what to do next") {
  using enum ErrorKind;
  const std::pair<std::string_view, ErrorKind> cases[] = {
      {"u@host: Permission denied (publickey,password).\n", kRefused},
      {"Received disconnect from ::1 port 22:2: Too many authentication failures\n", kRefused},
      {"Host key verification failed.\n", kRefused},
      {"Unable to negotiate with ::1 port 22: no matching cipher found. Their offer: x\n",
       kRefused},
      {"ssh: connect to host host port 22: Connection refused\n", kUnreachable},
      {"ssh: Could not resolve hostname host: Name or service not known\n", kUnreachable},
      {"kex_exchange_identification: read: Connection reset by peer\n", kUnreachable},
      {"Connection timed out during banner exchange\n", kUnreachable},
      {"client_loop: send disconnect: Broken pipe\n", kUnreachable},
      {"/root/.ssh/config: line 3: Bad configuration option: blah\n", kInvalid},
      {"Bad owner or permissions on /root/.ssh/config\n", kInvalid},
      {"hostname contains invalid characters\n", kInvalid},
      {"", kUnreachable}};
  for (const auto& [text, kind] : cases) {
    CAPTURE(text);
    CHECK(to_string(end_of(text).kind) == to_string(kind));
    CHECK(end_of(text).message.starts_with("host:22: "));
  }
}

TEST_CASE("after the login a loss is a loss, whatever was said before it") {
  const std::string_view text =
      "Permission denied (x)\nAuthenticated to host\nTimeout, server host "
      "not responding.\nTransferred: sent 1\nBytes per second: 2\n";
  const Error error = end_of(text, SshEnd::Phase::kRunning);
  CHECK(error.kind == ErrorKind::kConnectionLost);
  CHECK(error.message == "host:22: Timeout, server host not responding.");
}

TEST_CASE("silence is reported with the status") {
  CHECK(end_of("", SshEnd::Phase::kRunning, 7).message == "host:22: ssh ended with status 7");
  CHECK(end_of("", SshEnd::Phase::kRunning, 137).message == "host:22: ssh was killed by signal 9");
  CHECK(end_of("", SshEnd::Phase::kRunning, std::nullopt).message ==
        "host:22: ssh closed the connection");
}

TEST_CASE("control characters of a server's banner do not reach the message") {
  CHECK(end_of("\x1b[2Jgone\n").message == "host:22: \\x1b[2Jgone");
}

TEST_CASE("the login is done when ssh says so at the beginning of a line") {
  CHECK(says_logged_in("Warning: x\nAuthenticated to host ([::1]:22) using \"publickey\".\n"));
  CHECK_FALSE(says_logged_in("Never Authenticated to anything\n"));
  CHECK_FALSE(says_logged_in(""));
}

TEST_CASE("ssh gets what was asked for; the rest is up to its configuration") {
  const auto plain = ssh_command(options(), "");
  CHECK(has(plain, "-oStrictHostKeyChecking=yes"));
  CHECK(has(plain, "-oBatchMode=yes"));
  for (const std::string& word : plain) {
    CHECK_FALSE(word.starts_with("-p"));
    CHECK_FALSE(word.starts_with("-l"));
    CHECK_FALSE(word.contains("Identity"));
    CHECK_FALSE(word.contains("KnownHostsFile"));
    CHECK_FALSE(word.contains("Ciphers"));
  }
  ConnectOptions full = options();
  full.port = 2222;
  full.user = "me";
  full.identities = {"/a key", "/100%\"q\""};
  full.known_hosts = {"/k 1", "/k2"};
  full.use_agent = false;
  full.accept_new_host_key = true;
  full.timeout = std::chrono::milliseconds(1500);
  const auto command = ssh_command(full, "^x");
  for (const char* word :
       {"-p2222", "-lme", "-oIdentityFile=\"/a key\"", "-oIdentityFile=\"/100%%\\\"q\\\"\"",
        "-oIdentitiesOnly=yes", "-oIdentityAgent=none", "-oUserKnownHostsFile=\"/k 1\" \"/k2\"",
        "-oStrictHostKeyChecking=accept-new", "-oConnectTimeout=2", "-oCiphers=^x"}) {
    CAPTURE(word);
    CHECK(has(command, word));
  }
}

TEST_CASE("a host name never becomes an option") {
  ConnectOptions odd = options();
  odd.host = "-oProxyCommand=touch /tmp/x";
  const auto command = ssh_command(odd, "");
  REQUIRE(command.size() > 3);
  CHECK(std::vector<std::string>(command.end() - 3, command.end()) ==
        std::vector<std::string>{"--", odd.host, "sftp"});
}
