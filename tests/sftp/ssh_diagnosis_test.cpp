#include "sftp/ssh/ssh_diagnosis.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "sftp/ssh/ssh_command.h"

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
      {"kex_exchange_identification: read: Connection reset by peer\n", kConnectionLost},
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
  CHECK(end_of("", SshEnd::Phase::kRunning, 137).message == "host:22: ssh ended with status 137");
  CHECK(end_of("", SshEnd::Phase::kRunning, -9).message == "host:22: ssh was killed by signal 9");
  CHECK(end_of("", SshEnd::Phase::kRunning, std::nullopt).message ==
        "host:22: ssh closed the connection");
}

TEST_CASE("control characters of a server's banner do not reach the message") {
  CHECK(end_of("\x1b[2Jgone\n").message == "host:22: \\x1b[2Jgone");
}

TEST_CASE("what was agreed upon is found among much else") {
  const Agreement agreed = agreement_in(
      "OpenSSH_9.2p1 Debian\r\ndebug1: kex: algorithm: curve25519-sha256\r\n"
      "debug1: kex: host key algorithm: ssh-ed25519\r\n"
      "debug1: kex: server->client cipher: aes128-ctr MAC: umac compression: none\r\n"
      "debug1: kex: client->server cipher: aes256-ctr MAC: hmac-sha2-256 compression: none\r\n");
  CHECK(agreed.key_exchange == "curve25519-sha256");
  CHECK(agreed.host_key == "ssh-ed25519");
  CHECK(agreed.cipher == "aes256-ctr");
  CHECK(agreed.mac == "hmac-sha2-256");
  CHECK(agreement_in("kex: algorithm: not ssh's\n").key_exchange.empty());
}

TEST_CASE("what ssh says for debugging is no symptom") {
  CHECK(end_of("debug1: Permission denied (really)\nssh: gone\n").message == "host:22: ssh: gone");
}

TEST_CASE("a server with nothing but outdated algorithms comes with what to do") {
  constexpr std::string_view kStart =
      "Unable to negotiate with ::1 port 22: no matching cipher found. Their offer: ";
  CHECK(end_of(std::string(kStart) + "aes128-cbc,aes256-cbc\n")
            .message.contains("legacy_algorithms = true"));
  CHECK_FALSE(end_of(std::string(kStart) + "of-tomorrow\n").message.contains("legacy"));
}

TEST_CASE("the login is done when ssh says so at the beginning of a line") {
  CHECK(says_logged_in("Warning: x\nAuthenticated to host ([::1]:22) using \"publickey\".\n"));
  CHECK_FALSE(says_logged_in("Never Authenticated to anything\n"));
  CHECK_FALSE(says_logged_in(""));
}

TEST_CASE("ssh gets what was asked for; the rest is up to its configuration") {
  const auto plain = ssh_command(options(), {});
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
  const auto command = ssh_command(full, {"-oCiphers=^x"});
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
  const auto command = ssh_command(odd, {});
  REQUIRE(command.size() > 3);
  CHECK(std::vector<std::string>(command.end() - 3, command.end()) ==
        std::vector<std::string>{"--", odd.host, "sftp"});
}
