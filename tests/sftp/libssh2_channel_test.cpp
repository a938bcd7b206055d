#include <doctest/doctest.h>

#include <optional>

#include "ferry/base/stop.h"
#include "ferry/sftp/channel.h"
#include "ferry/sftp/connect.h"
#include "sftp/channel_fixture.h"
#include "sftp/ssh/known_hosts.h"

using namespace ferry;
using namespace ferry::sftp;
using namespace ferry::sftp::testing;

namespace {

using ChannelResult = Result<std::unique_ptr<Channel>>;

ChannelResult connect(const ConnectOptions& options) {
  StopToken stop;
  return connect_libssh2(options, stop);
}

std::unique_ptr<Channel> connected(const ConnectOptions& options) {
  auto channel = connect(options);
  if (!channel) FAIL(channel.error().message);
  return std::move(*channel);
}

Error refused(const ConnectOptions& options, ErrorKind kind) {
  const auto channel = connect(options);
  REQUIRE_FALSE(channel.has_value());
  CAPTURE(channel.error().message);
  CHECK(to_string(channel.error().kind) == to_string(kind));
  return channel.error();
}

// Sets a variable of the environment as long as it lives.
class ScopedVariable {
 public:
  ScopedVariable(const char* name, const std::string& value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    ::setenv(name, value.c_str(), 1);
  }
  ~ScopedVariable() { old_ ? ::setenv(name_, old_->c_str(), 1) : ::unsetenv(name_); }

 private:
  const char* name_;
  std::optional<std::string> old_;
};

// ssh-agent in the foreground, with its socket in a folder of its own.
class Agent {
 public:
  Agent() : socket_((folder_.path() / "agent").native()) {
    std::vector<std::string> argv{"ssh-agent", "-D", "-a", socket_};
    std::vector<char*> arguments;
    for (std::string& argument : argv) arguments.push_back(argument.data());
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    REQUIRE(::posix_spawnp(&pid_, "ssh-agent", &actions, nullptr, arguments.data(), environ) == 0);
    posix_spawn_file_actions_destroy(&actions);
    REQUIRE(eventually([this] { return fs::exists(socket_); }));
  }
  ~Agent() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  void add(const fs::path& key) const {
    run_program({"ssh-add", "-q", key.native()}, {}, {"SSH_AUTH_SOCK=" + socket_});
  }
  void freeze() const { ::kill(pid_, SIGSTOP); }
  const std::string& socket() const { return socket_; }

 private:
  TemporaryDirectory folder_;
  std::string socket_;
  pid_t pid_ = -1;
};

}  // namespace

TEST_CASE("keys of all kinds") {
  OpenSshServer server;
  ConnectOptions options = server.connect_options();
  SUBCASE("ecdsa") {
    options.identities = {server.authorized_key("k", "ecdsa")};
  }
  SUBCASE("encrypted ed25519") {
    options.identities = {server.authorized_key("k", "ed25519", "pass phrase")};
    options.passphrase = "pass phrase";
  }
  SUBCASE("encrypted ecdsa") {
    options.identities = {server.authorized_key("k", "ecdsa", "pass phrase")};
    options.passphrase = "pass phrase";
  }
  SUBCASE("ecdsa in PEM format, encrypted") {
    const fs::path key = server.authorized_key("k", "ecdsa");
    run_program(
        {"ssh-keygen", "-q", "-p", "-m", "PEM", "-P", "", "-N", "pass phrase", "-f", key.native()});
    options.identities = {key};
    options.passphrase = "pass phrase";
  }
  SUBCASE("the second of two") {
    options.identities = {server.unauthorized_key("stranger"), server.identity()};
  }
  check_speaks_sftp(*connected(options));
}

TEST_CASE("the agent's keys let us in") {
  OpenSshServer server;
  const Agent agent;
  agent.add(server.unauthorized_key("stranger"));
  agent.add(server.identity());
  const ScopedVariable variable("SSH_AUTH_SOCK", agent.socket());
  ConnectOptions options = server.connect_options();
  options.use_agent = true;
  options.identities = {"/nonexistent/key"};
  check_speaks_sftp(*connected(options));
}

TEST_CASE("an agent that hangs or is gone does not keep a key file from being tried") {
  OpenSshServer server;
  ConnectOptions options = server.connect_options();
  options.use_agent = true;
  SUBCASE("hangs") {
    const Agent agent;
    agent.freeze();
    options.timeout = 500ms;
    const ScopedVariable variable("SSH_AUTH_SOCK", agent.socket());
    check_speaks_sftp(*connected(options));
  }
  SUBCASE("gone") {
    const ScopedVariable variable("SSH_AUTH_SOCK", "/nonexistent/agent");
    check_speaks_sftp(*connected(options));
  }
}

TEST_CASE("without options the keys and known hosts of the home directory are used") {
  OpenSshServer server;
  const TemporaryDirectory home;
  const ScopedVariable variable("HOME", home.path().native());
  fs::create_directory(home.path() / ".ssh");
  fs::copy_file(server.identity(), home.path() / ".ssh" / "id_ed25519");
  fs::copy_file(server.known_hosts(), home.path() / ".ssh" / "known_hosts");
  ConnectOptions options;
  options.host = server.host();
  options.port = server.port();
  options.use_agent = false;
  check_speaks_sftp(*connected(options));
}

TEST_CASE("a key that the server does not know is refused, by name") {
  OpenSshServer server;
  ConnectOptions options = server.connect_options();
  options.identities = {server.unauthorized_key("stranger")};
  const Error error = refused(options, ErrorKind::kRefused);
  CHECK(says(error, fmt::format("login to {}@127.0.0.1:{} refused", server.user(), server.port())));
  CHECK(says(error, "/stranger (refused)"));
  CHECK(says(error, "server offers publickey,password"));
  CHECK_FALSE(error.message.contains("RSA"));
}

TEST_CASE("what is wrong with a key file is said") {
  OpenSshServer server;
  ConnectOptions options = server.connect_options();
  const auto tried = [&](const fs::path& key) {
    options.identities = {key};
    return refused(options, ErrorKind::kRefused);
  };
  const fs::path odd = server.folder() / "odd";
  const auto holding = [&](std::string_view text) {
    std::ofstream(odd.native()) << text;
    return odd;
  };
  CHECK(says(tried("/nonexistent/key"), "key /nonexistent/key (does not exist)"));
  CHECK(says(tried(server.identity().native() + ".pub"), "is a public key"));
  CHECK(says(tried(holding("hello")), "odd (is not a private key"));
  CHECK(says(tried(holding("PuTTY-User-Key-File-3: ssh-ed25519\n")), "puttygen"));
  CHECK(says(tried(holding("-----BEGIN OPENSSH PRIVATE KEY-----\nZm9v\n")), "is damaged"));
  CHECK(says(tried(holding("-----BEGIN RSA PRIVATE KEY-----\nZm9v\n")), "is damaged"));

  const fs::path locked = server.authorized_key("locked", "ed25519", "pass phrase");
  CHECK(says(tried(locked), "locked (is encrypted, and no passphrase was given)"));
  options.passphrase = "wr0ng";
  const Error error = tried(locked);
  CHECK(says(error, "locked (cannot be decrypted: wrong passphrase?)"));
  CHECK_FALSE(error.message.contains("wr0ng"));
}

TEST_CASE("an RSA key that is refused comes with the reason and the cure") {
  OpenSshServer server;
  ConnectOptions options = server.connect_options();
  options.identities = {server.authorized_key("rsa", "rsa")};
  const auto channel = connect(options);
  if (channel) return;  // a libssh2 that signs with SHA-2
  CHECK(channel.error().kind == ErrorKind::kRefused);
  CHECK(says(channel.error(), "SHA-1 only"));
  CHECK(says(channel.error(), "Ed25519"));
}

TEST_CASE("a refused password is not repeated in the message") {
  OpenSshServer server;
  ConnectOptions options = server.connect_options();
  options.identities = {server.unauthorized_key("stranger")};
  options.password = "s3cret";
  const Error error = refused(options, ErrorKind::kRefused);
  CHECK(says(error, "stranger (refused), password (refused)"));
  CHECK_FALSE(error.message.contains("s3cret"));
}

TEST_CASE("a password lets us in") {
  if (!OpenSshServer::can_have_own_mounts()) {
    MESSAGE("skipped: needs root, who may have a mount namespace");
    return;
  }
  std::vector<std::string> config = {"PubkeyAuthentication no"};
  SUBCASE("as a password") {
    config.emplace_back("PasswordAuthentication yes");
  }
  SUBCASE("as the answer to a prompt") {
    for (const char* line :
         {"UsePAM yes", "KbdInteractiveAuthentication yes", "PasswordAuthentication no"}) {
      config.emplace_back(line);
    }
  }
  OpenSshServer server({.config = config, .accepts_password = true});
  ConnectOptions options = server.connect_options();
  options.password = kPassword;
  check_speaks_sftp(*connected(options));
  options.password += "!";
  const Error error = refused(options, ErrorKind::kRefused);
  CHECK(says(error, "(refused)"));
  CHECK_FALSE(error.message.contains(kPassword));
}

TEST_CASE("a password that the server does not want is not sent") {
  OpenSshServer server({.config = {"PasswordAuthentication no"}});
  ConnectOptions options = server.connect_options();
  options.identities = {server.unauthorized_key("stranger")};
  options.password = "s3cret";
  CHECK(says(refused(options, ErrorKind::kRefused), "password (not wanted by the server)"));
}

TEST_CASE("too many refused keys end the connection, and that is a refusal") {
  OpenSshServer server({.config = {"MaxAuthTries 1"}});
  ConnectOptions options = server.connect_options();
  options.identities = {server.unauthorized_key("a"), server.unauthorized_key("b")};
  CHECK(says(refused(options, ErrorKind::kRefused), "Too many authentication failures"));
}

TEST_CASE("an unknown host is refused with its fingerprint and what to do") {
  OpenSshServer server;
  ConnectOptions options = server.connect_options();
  const auto known = parse_known_hosts(slurp(server.known_hosts()), "");
  options.known_hosts = {server.folder() / "empty"};
  const Error error = refused(options, ErrorKind::kRefused);
  CHECK(says(error, "is unknown"));
  CHECK(says(error, fingerprint(known.at(0).key)));
  CHECK(says(error, "--accept-new-host-key"));
  CHECK(says(error, fmt::format("ssh-keyscan -p {} 127.0.0.1", server.port())));
  CHECK(says(error, "/empty"));
  CHECK_FALSE(fs::exists(server.folder() / "empty"));
}

TEST_CASE("a changed host key is refused, even where new ones are accepted") {
  OpenSshServer server;
  ConnectOptions options = server.connect_options();
  options.known_hosts = {server.wrong_known_hosts()};
  options.accept_new_host_key = true;
  const std::string before = slurp(options.known_hosts[0]);
  const Error error = refused(options, ErrorKind::kRefused);
  CHECK(says(error, fmt::format("[127.0.0.1]:{} HAS CHANGED", server.port())));
  CHECK(says(error, "wrong_known_hosts:1 expects SHA256:"));
  CHECK(says(error, "in the middle"));
  CHECK(slurp(options.known_hosts[0]) == before);
}

TEST_CASE("a host known by a key of another type is not a new host") {
  OpenSshServer server;
  ConnectOptions options = server.connect_options();
  options.known_hosts = {server.wrong_known_hosts("ecdsa")};
  options.accept_new_host_key = true;
  CHECK(says(refused(options, ErrorKind::kRefused), "cannot be checked"));
}

TEST_CASE("of several host keys the server is asked for the one that is known") {
  OpenSshServer server({.host_key_types = {"ecdsa", "ed25519", "rsa"}});
  for (const std::string type : {"ecdsa", "ed25519"}) {
    CAPTURE(type);
    std::ofstream(server.known_hosts().native()) << server.known_hosts_line(server.host_key(type));
    check_speaks_sftp(*connected(server.connect_options()));
  }
}

TEST_CASE("a server that only has algorithms we lack is told from an unreachable one") {
  OpenSshServer server({.config = {"Ciphers chacha20-poly1305@openssh.com",
                                   "KexAlgorithms sntrup761x25519-sha512@openssh.com"}});
  CHECK(says(refused(server.connect_options(), ErrorKind::kRefused), "algorithms"));
}

TEST_CASE("what is no SSH server is told from one") {
  Listener listener;
  const auto greeted = listener.greet("HTTP/1.1 400 Bad Request\r\n\r\n");
  CHECK(says(refused(listener.options(), ErrorKind::kRefused), "not an SSH server"));
}
