#include <doctest/doctest.h>

#include <future>
#include <optional>

#include "ferry/base/stop.h"
#include "ferry/sftp/channel.h"
#include "ferry/sftp/connect.h"
#include "sftp/known_hosts.h"
#include "sftp/openssh_server.h"

using namespace ferry;
using namespace ferry::sftp;
using namespace ferry::sftp::testing;
using namespace std::chrono_literals;

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

bool says(const Error& error, std::string_view words) {
  INFO(error.message);
  const bool found = error.message.find(words) != std::string::npos;
  if (!found) MESSAGE(error.message);
  return found;
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
  TemporaryFolder folder_;
  std::string socket_;
  pid_t pid_ = -1;
};

// A listener on 127.0.0.1 that is no SSH server.
class Listener {
 public:
  Listener() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(::listen(socket_.get(), 8) == 0);
    REQUIRE(::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port_ = ntohs(address.sin_port);
  }
  ConnectOptions options() const {
    ConnectOptions options;
    options.host = "127.0.0.1";
    options.port = port_;
    options.user = "nobody";
    options.known_hosts = {"/nonexistent/known_hosts"};
    options.use_agent = false;
    return options;
  }
  UniqueFd accept() const { return UniqueFd(::accept(socket_.get(), nullptr, nullptr)); }
  /// Sends TEXT to the first who comes, and hangs up.
  std::future<void> greet(std::string text) const {
    return std::async(std::launch::async, [this, text = std::move(text)] {
      const UniqueFd peer = accept();
      (void)::send(peer.get(), text.data(), text.size(), MSG_NOSIGNAL);
    });
  }

 private:
  UniqueFd socket_;
  std::uint16_t port_ = 0;
};

// The user of a channel as channel.h wants it: write, read until nothing comes, poll.
class Conversation {
 public:
  explicit Conversation(Channel& channel) : channel_(channel) {}

  void send(std::string bytes) { output_ += std::move(bytes); }

  /// Goes on until COUNT bytes have come and all is sent.
  std::optional<Error> run_until(std::size_t count, std::chrono::seconds limit = 30s) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    for (;;) {
      if (auto error = turn()) return error;
      if (input_.size() >= count && output_.empty()) return std::nullopt;
      if (!wait(deadline)) return make_error(ErrorKind::kFailed, "test: nothing more comes");
    }
  }
  std::optional<Error> turn() {
    ++turns_;
    std::array<std::byte, 64 * 1024> buffer;
    for (;;) {
      const auto count = channel_.read(buffer);
      if (!count) return count.error();
      if (*count == 0) break;
      input_.append(reinterpret_cast<const char*>(buffer.data()), *count);
    }
    if (output_.empty()) return std::nullopt;
    const auto written = channel_.write(as_bytes(output_));
    if (!written) return written.error();
    output_.erase(0, *written);
    return std::nullopt;
  }
  bool wait(std::chrono::steady_clock::time_point deadline) {
    std::vector<pollfd> fds;
    channel_.add_poll_fds(!output_.empty(), fds);
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    return left.count() > 0 && ::poll(fds.data(), fds.size(), static_cast<int>(left.count())) > 0;
  }
  const std::string& input() const { return input_; }
  std::size_t unsent() const { return output_.size(); }
  std::size_t turns() const { return turns_; }

 private:
  Channel& channel_;
  std::string input_;
  std::string output_;
  std::size_t turns_ = 0;
};

std::string number(std::size_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16),
          static_cast<char>(value >> 8), static_cast<char>(value)};
}

std::string packet(const std::string& body) {
  return number(body.size()) + body;
}

const std::string kInit = packet("\1" + number(3));

void check_speaks_sftp(Channel& channel) {
  Conversation conversation(channel);
  conversation.send(kInit);
  REQUIRE_FALSE(conversation.run_until(9).has_value());
  CHECK(conversation.input()[4] == 2);  // SSH_FXP_VERSION
  CHECK(conversation.input().substr(5, 4) == number(3));
}

// A server whose "sftp" is a shell script: what that reads and writes is what the channel carries.
class ScriptServer {
 public:
  explicit ScriptServer(const std::string& script, std::vector<std::string> config = {})
      : server_({.config = std::move(config), .sftp = write(script)}) {}
  std::unique_ptr<Channel> connected() const { return ::connected(server_.connect_options()); }

 private:
  std::string write(const std::string& script) const {
    const fs::path file = folder_.path() / "script";
    std::ofstream(file.native()) << "#!/bin/sh\n" << script << '\n';
    fs::permissions(file, fs::owner_all);
    return file.native();
  }
  TemporaryFolder folder_;
  OpenSshServer server_;
};

}  // namespace

TEST_CASE("a key lets us in, and the channel speaks sftp") {
  OpenSshServer server;
  const auto channel = connected(server.connect_options());
  check_speaks_sftp(*channel);
  CHECK(server.log().find("Accepted publickey") != std::string::npos);
}

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
  const TemporaryFolder home;
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

TEST_CASE("an unknown host is remembered where that was allowed") {
  OpenSshServer server;
  ConnectOptions options = server.connect_options();
  options.known_hosts = {server.folder() / "new" / "known_hosts"};
  options.accept_new_host_key = true;
  check_speaks_sftp(*connected(options));
  options.accept_new_host_key = false;
  check_speaks_sftp(*connected(options));
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

TEST_CASE("a revoked host key is refused") {
  OpenSshServer server;
  std::ofstream(server.known_hosts().native(), std::ios::app)
      << "@revoked " << server.known_hosts_line(server.host_key("ed25519"));
  CHECK(
      says(refused(server.connect_options(), ErrorKind::kRefused), "known_hosts:2 marks @revoked"));
}

TEST_CASE("hashed known_hosts entries serve") {
  OpenSshServer server;
  run_program({"ssh-keygen", "-q", "-H", "-f", server.known_hosts().native()});
  REQUIRE(slurp(server.known_hosts()).starts_with("|1|"));
  check_speaks_sftp(*connected(server.connect_options()));
}

TEST_CASE("of several host keys the server is asked for the one that is known") {
  OpenSshServer server({.host_key_types = {"ecdsa", "ed25519", "rsa"}});
  for (const std::string type : {"ecdsa", "ed25519"}) {
    CAPTURE(type);
    std::ofstream(server.known_hosts().native()) << server.known_hosts_line(server.host_key(type));
    check_speaks_sftp(*connected(server.connect_options()));
  }
}

TEST_CASE("nobody listens: unreachable") {
  Listener listener;
  ConnectOptions options = listener.options();
  options.port = unused_port();
  const Error error = refused(options, ErrorKind::kUnreachable);
  CHECK(error.message == fmt::format("connect to 127.0.0.1:{}: Connection refused", options.port));
}

TEST_CASE("a host without an address: unreachable") {
  ConnectOptions options = Listener().options();
  options.host = "no-such-host.invalid";
  CHECK(says(refused(options, ErrorKind::kUnreachable), "look up host no-such-host.invalid"));
}

TEST_CASE("a server that says nothing is given up after the time-out") {
  Listener listener;
  ConnectOptions options = listener.options();
  options.timeout = 200ms;
  CHECK(says(refused(options, ErrorKind::kUnreachable), "no answer within 0.2 s"));
}

TEST_CASE("a server that hangs up at once was perhaps too busy: unreachable") {
  Listener listener;
  const auto greeted = listener.greet("");
  CHECK(says(refused(listener.options(), ErrorKind::kUnreachable), "MaxStartups"));
}

TEST_CASE("what is no SSH server is told from one") {
  Listener listener;
  const auto greeted = listener.greet("HTTP/1.1 400 Bad Request\r\n\r\n");
  CHECK(says(refused(listener.options(), ErrorKind::kRefused), "no SSH server"));
}

TEST_CASE("a server that sends for ever and never its banner is given up") {
  Listener listener;
  ConnectOptions options = listener.options();
  options.timeout = 300ms;
  auto chatter = std::async(std::launch::async, [&] {
    const UniqueFd peer = listener.accept();
    std::string text;
    while (text.size() < 64'000) text += "Welcome, this may take a while.\n";
    while (::send(peer.get(), text.data(), text.size(), MSG_NOSIGNAL) > 0) {
    }
  });
  CHECK(says(refused(options, ErrorKind::kUnreachable), "no answer within"));
}

TEST_CASE("MaxStartups drops us: unreachable, so that somebody tries again") {
  OpenSshServer server({.config = {"MaxStartups 1"}});
  ConnectOptions options = server.connect_options();
  // Somebody who has connected and not logged in.
  const UniqueFd loiterer(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(server.port());
  REQUIRE(::connect(loiterer.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(eventually([&] { return server.connection_count() == 1; }));
  CHECK(says(refused(options, ErrorKind::kUnreachable), "MaxStartups"));
}

TEST_CASE("a server that only has algorithms we lack is told from an unreachable one") {
  OpenSshServer server({.config = {"Ciphers chacha20-poly1305@openssh.com",
                                   "KexAlgorithms sntrup761x25519-sha512@openssh.com"}});
  CHECK(says(refused(server.connect_options(), ErrorKind::kRefused), "algorithms"));
}

TEST_CASE("an account without sftp is refused") {
  OpenSshServer server({.sftp = ""});
  CHECK(says(refused(server.connect_options(), ErrorKind::kRefused), "no sftp subsystem"));
}

TEST_CASE("a stop request ends connecting at once") {
  Listener listener;
  ConnectOptions options = listener.options();
  options.timeout = 60s;
  StopToken stop;
  auto stopper = std::async(std::launch::async, [&] {
    const UniqueFd peer = listener.accept();
    char first = 0;
    CHECK(::recv(peer.get(), &first, 1, 0) == 1);  // the client waits for our banner now
    stop.request_stop();
    while (::recv(peer.get(), &first, 1, 0) > 0) {
    }
  });
  const auto channel = connect_libssh2(options, stop);
  REQUIRE_FALSE(channel.has_value());
  CHECK(channel.error().kind == ErrorKind::kCancelled);
}

TEST_CASE("a stop request from before counts") {
  StopToken stop;
  stop.request_stop();
  const auto channel = connect_libssh2(Listener().options(), stop);
  REQUIRE_FALSE(channel.has_value());
  CHECK(channel.error().kind == ErrorKind::kCancelled);
}

TEST_CASE("a connection that the server drops is lost, from then on") {
  OpenSshServer server;
  const auto channel = connected(server.connect_options());
  check_speaks_sftp(*channel);
  server.cut_connections();
  Conversation conversation(*channel);
  for (int times = 0; times < 2; ++times) {
    const auto error = conversation.run_until(1);
    REQUIRE(error.has_value());
    CHECK(error->kind == ErrorKind::kConnectionLost);
    CHECK(says(*error, fmt::format("127.0.0.1:{}: ", server.port())));
  }
  CHECK_FALSE(channel->write(as_bytes("x")).has_value());
}

TEST_CASE("an sftp subsystem that ends is a lost connection, with its status") {
  ScriptServer server("exit 7");
  const auto channel = server.connected();
  const auto error = Conversation(*channel).run_until(1);
  REQUIRE(error.has_value());
  CHECK(error->kind == ErrorKind::kConnectionLost);
  CHECK(says(*error, "status 7"));
}

TEST_CASE("the last words of a subsystem that ends arrive before the loss") {
  ScriptServer server("exec head -c 300000 /dev/zero");
  const auto channel = server.connected();
  Conversation conversation(*channel);
  while (!conversation.turn() && conversation.wait(std::chrono::steady_clock::now() + 10s)) {
  }
  CHECK(conversation.input().size() == 300000);
}

TEST_CASE("what the subsystem says on stderr is not mixed in") {
  ScriptServer server("head -c 8000000 /dev/zero >&2; echo hello; cat");
  const auto channel = server.connected();
  Conversation conversation(*channel);
  REQUIRE_FALSE(conversation.run_until(6).has_value());
  CHECK(conversation.input() == "hello\n");
}

TEST_CASE("all bytes come back in order, both directions full, also across key exchanges") {
  std::vector<std::string> config;
  SUBCASE("without") {}
  SUBCASE("with") {
    config = {"RekeyLimit 1M"};
  }
  ScriptServer server("exec /bin/cat", config);
  const auto channel = server.connected();
  std::string sent;
  while (sent.size() < 24'000'000) sent += fmt::format("{:x}.", sent.size());
  Conversation conversation(*channel);
  conversation.send(sent);
  const auto error = conversation.run_until(sent.size(), 60s);
  if (error) FAIL(error->message);
  CHECK(conversation.input() == sent);
}

TEST_CASE("a server that does not take what we send is waited for, not polled in a loop") {
  ScriptServer server("read go; head -c 8000000 >/dev/null; echo done; cat");
  const auto channel = server.connected();
  Conversation conversation(*channel);
  conversation.send("\n" + std::string(8'000'000, 'x'));
  const auto error = conversation.run_until(5);
  if (error) FAIL(error->message);
  CHECK(conversation.input() == "done\n");
}

TEST_CASE("a closed channel window leaves nothing to poll for but input") {
  ScriptServer server("exec /bin/sleep 1000");
  const auto channel = server.connected();
  Conversation conversation(*channel);
  conversation.send(std::string(8'000'000, 'x'));
  // The window is 2 MiB: until it is full each wait ends at once, afterwards none does.
  const auto error = conversation.run_until(1, 2s);
  REQUIRE(error.has_value());
  CHECK(error->kind == ErrorKind::kFailed);
  CHECK(conversation.unsent() > 0);
  CHECK(conversation.turns() < 2000);
}

TEST_CASE("replies that a write took from the socket end the next wait at once") {
  ScriptServer server("exec /bin/cat");
  const auto channel = server.connected();
  const std::string ping(64, 'p');
  std::size_t got = 0;
  std::array<std::byte, 4096> buffer{};
  // Each write drains the socket first; a wait that looked at the socket alone would hang.
  for (int round = 0; round < 500; ++round) {
    REQUIRE(channel->write(as_bytes(ping)).value() == ping.size());
    std::vector<pollfd> fds;
    channel->add_poll_fds(false, fds);
    REQUIRE(::poll(fds.data(), fds.size(), 10'000) > 0);
    REQUIRE(channel->write(as_bytes(ping)).value() == ping.size());
    while (got < static_cast<std::size_t>(round + 1) * 2 * ping.size()) {
      fds.clear();
      channel->add_poll_fds(false, fds);
      REQUIRE(::poll(fds.data(), fds.size(), 10'000) > 0);
      got += channel->read(buffer).value();
    }
  }
}

TEST_CASE("destroying a channel does not wait for a server that hangs") {
  OpenSshServer server;
  auto channel = connected(server.connect_options());
  check_speaks_sftp(*channel);
  server.freeze_connections();
  const auto before = std::chrono::steady_clock::now();
  channel.reset();
  CHECK(std::chrono::steady_clock::now() - before < 2s);
}

TEST_CASE("destroying a channel ends the session on the server") {
  OpenSshServer server;
  auto channel = connected(server.connect_options());
  CHECK(server.connection_count() == 1);
  channel.reset();
  CHECK(eventually([&] { return server.connection_count() == 0; }));
  CHECK(server.log().find("Disconnected from user") != std::string::npos);
}
