// What connecting and a channel do, whatever speaks SSH: the same cases for both transports.
#include "sftp/channel_fixture.h"

using namespace ferry;
using namespace ferry::sftp;
using namespace ferry::sftp::testing;

namespace {

template <typename T>
Result<std::unique_ptr<Channel>> connect_by(ConnectOptions options, StopToken& stop) {
  options.transport = T::kTransport;
  return sftp::connect(options, stop);
}

template <typename T>
std::unique_ptr<Channel> connected(const ConnectOptions& options) {
  StopToken stop;
  auto channel = connect_by<T>(options, stop);
  if (!channel) FAIL(channel.error().message);
  return std::move(*channel);
}

/// The error of connecting, or of the first exchange.
template <typename T>
Error refused(const ConnectOptions& options, ErrorKind kind) {
  StopToken stop;
  const auto channel = connect_by<T>(options, stop);
  std::optional<Error> error;
  if (channel) {
    Conversation conversation(**channel);
    conversation.send(kInit);
    error = conversation.run_until(1);
  } else {
    error = channel.error();
  }
  REQUIRE(error.has_value());
  CAPTURE(error->message);
  CHECK(to_string(error->kind) == to_string(kind));
  CHECK(says(*error, options.host));
  return *error;
}

}  // namespace

TEST_CASE_TEMPLATE("a key that the server does not know is refused", T, Libssh2, OpenSsh) {
  OpenSshServer server;
  ConnectOptions options = server.connect_options();
  options.identities = {server.unauthorized_key("stranger")};
  CHECK(says(refused<T>(options, ErrorKind::kRefused), "refused"));
}

TEST_CASE_TEMPLATE("a key file that is not there is named", T, Libssh2, OpenSsh) {
  OpenSshServer server;
  ConnectOptions options = server.connect_options();
  options.identities = {"/nonexistent/key"};
  CHECK(says(refused<T>(options, ErrorKind::kRefused), "/nonexistent/key"));
}

TEST_CASE_TEMPLATE("an unknown host is refused, with what to do", T, Libssh2, OpenSsh) {
  OpenSshServer server;
  ConnectOptions options = server.connect_options();
  options.known_hosts = {server.folder() / "empty"};
  const Error error = refused<T>(options, ErrorKind::kRefused);
  CHECK(says(error, "is unknown"));
  CHECK(says(error, "--accept-new-host-key"));
  CHECK(says(error, fmt::format("ssh-keyscan -p {} 127.0.0.1", server.port())));
  CHECK(says(error, "/empty"));
  CHECK_FALSE(fs::exists(server.folder() / "empty"));
}

TEST_CASE_TEMPLATE("the second of several known_hosts files, with odd names", T, Libssh2, OpenSsh) {
  OpenSshServer server;
  ConnectOptions options = server.connect_options();
  const fs::path odd = server.folder() / "50% \"of\" $HOME";
  fs::copy_file(server.known_hosts(), odd);
  options.known_hosts = {server.folder() / "empty", odd};
  check_speaks_sftp(*connected<T>(options));
}

TEST_CASE_TEMPLATE("a changed host key is refused, even where new ones are accepted", T, Libssh2,
                   OpenSsh) {
  OpenSshServer server;
  ConnectOptions options = server.connect_options();
  options.known_hosts = {server.wrong_known_hosts()};
  options.accept_new_host_key = true;
  const std::string before = slurp(options.known_hosts[0]);
  const Error error = refused<T>(options, ErrorKind::kRefused);
  CHECK(says(error, fmt::format("127.0.0.1]:{} HAS CHANGED", server.port())));
  CHECK(says(error, "wrong_known_hosts:1"));
  CHECK(says(error, "SHA256:"));
  CHECK(says(error, "in the middle"));
  CHECK(slurp(options.known_hosts[0]) == before);
}

TEST_CASE_TEMPLATE("a key lets us in, and the channel speaks sftp", T, Libssh2, OpenSsh) {
  OpenSshServer server;
  const auto channel = connected<T>(server.connect_options());
  check_speaks_sftp(*channel);
  CHECK(server.log().find("Accepted publickey") != std::string::npos);
}

TEST_CASE_TEMPLATE("an unknown host is remembered where that was allowed", T, Libssh2, OpenSsh) {
  OpenSshServer server;
  ConnectOptions options = server.connect_options();
  options.known_hosts = {server.folder() / "new" / "known_hosts"};
  options.accept_new_host_key = true;
  check_speaks_sftp(*connected<T>(options));
  options.accept_new_host_key = false;
  check_speaks_sftp(*connected<T>(options));
}

TEST_CASE_TEMPLATE("a revoked host key is refused", T, Libssh2, OpenSsh) {
  OpenSshServer server;
  std::ofstream(server.known_hosts().native(), std::ios::app)
      << "@revoked " << server.known_hosts_line(server.host_key("ed25519"));
  CHECK(says(refused<T>(server.connect_options(), ErrorKind::kRefused), "revoked"));
}

TEST_CASE_TEMPLATE("hashed known_hosts entries serve", T, Libssh2, OpenSsh) {
  OpenSshServer server;
  run_program({"ssh-keygen", "-q", "-H", "-f", server.known_hosts().native()});
  REQUIRE(slurp(server.known_hosts()).starts_with("|1|"));
  check_speaks_sftp(*connected<T>(server.connect_options()));
}

TEST_CASE_TEMPLATE("nobody listens: unreachable", T, Libssh2, OpenSsh) {
  Listener listener;
  ConnectOptions options = listener.options();
  options.port = unused_port();
  CHECK(says(refused<T>(options, ErrorKind::kUnreachable), "Connection refused"));
}

TEST_CASE_TEMPLATE("a host without an address: unreachable", T, Libssh2, OpenSsh) {
  ConnectOptions options = Listener().options();
  options.host = "no-such-host.invalid";
  CHECK(says(refused<T>(options, ErrorKind::kUnreachable), "no-such-host.invalid"));
}

TEST_CASE_TEMPLATE("a server that says nothing is given up after the time-out", T, Libssh2,
                   OpenSsh) {
  Listener listener;
  ConnectOptions options = listener.options();
  options.timeout = 200ms;
  CHECK(says(refused<T>(options, ErrorKind::kUnreachable), "timed out"));
}

TEST_CASE_TEMPLATE("a server that hangs up at once was perhaps too busy: unreachable", T, Libssh2,
                   OpenSsh) {
  Listener listener;
  const auto greeted = listener.greet("");
  ConnectOptions options = listener.options();
  options.timeout = 200ms;
  CHECK(says(refused<T>(options, ErrorKind::kUnreachable), "MaxStartups"));
}

TEST_CASE_TEMPLATE("a server that sends for ever and never its banner is given up", T, Libssh2,
                   OpenSsh) {
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
  CHECK(says(refused<T>(options, ErrorKind::kUnreachable), "127.0.0.1"));
}

/// Somebody who has connected and does not log in.
UniqueFd loiter(const OpenSshServer& server) {
  UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(server.port());
  REQUIRE(::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(eventually([&] { return server.connection_count() == 1; }));
  return socket;
}

TEST_CASE_TEMPLATE("MaxStartups drops us: tried again until there is room, and not for ever", T,
                   Libssh2, OpenSsh) {
  OpenSshServer server({.config = {"MaxStartups 1"}});
  UniqueFd loiterer = loiter(server);
  ConnectOptions options = server.connect_options();
  SUBCASE("there is") {
    StopToken stop;
    auto connected =
        std::async(std::launch::async, [&] { return connect_by<T>(options, stop).has_value(); });
    REQUIRE(eventually([&] { return server.log().find("drop connection") != std::string::npos; }));
    loiterer.reset();
    CHECK(connected.get());
  }
  SUBCASE("there is not") {
    options.timeout = 1s;
    CHECK(says(refused<T>(options, ErrorKind::kUnreachable), "MaxStartups"));
  }
}

TEST_CASE_TEMPLATE("an account without sftp is refused", T, Libssh2, OpenSsh) {
  OpenSshServer server({.sftp = ""});
  CHECK(says(refused<T>(server.connect_options(), ErrorKind::kRefused), "no sftp subsystem"));
}

TEST_CASE_TEMPLATE("a stop request ends connecting at once", T, Libssh2, OpenSsh) {
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
  const auto channel = connect_by<T>(options, stop);
  REQUIRE_FALSE(channel.has_value());
  CHECK(channel.error().kind == ErrorKind::kCancelled);
}

TEST_CASE_TEMPLATE("a stop request from before counts", T, Libssh2, OpenSsh) {
  StopToken stop;
  stop.request_stop();
  const auto channel = connect_by<T>(Listener().options(), stop);
  REQUIRE_FALSE(channel.has_value());
  CHECK(channel.error().kind == ErrorKind::kCancelled);
}

TEST_CASE_TEMPLATE("a connection that the server drops is lost, from then on", T, Libssh2,
                   OpenSsh) {
  OpenSshServer server;
  const auto channel = connected<T>(server.connect_options());
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

TEST_CASE_TEMPLATE("an sftp subsystem that ends is a lost connection", T, Libssh2, OpenSsh) {
  ScriptServer server("exit 7");
  const auto channel = connected<T>(server.options());
  const auto error = Conversation(*channel).run_until(1);
  REQUIRE(error.has_value());
  CHECK(error->kind == ErrorKind::kConnectionLost);
}

TEST_CASE_TEMPLATE("the last words of a subsystem that ends arrive before the loss", T, Libssh2,
                   OpenSsh) {
  ScriptServer server("exec head -c 300000 /dev/zero");
  const auto channel = connected<T>(server.options());
  Conversation conversation(*channel);
  while (!conversation.turn() && conversation.wait(std::chrono::steady_clock::now() + 10s)) {
  }
  CHECK(conversation.input().size() == 300000);
}

TEST_CASE_TEMPLATE("what the subsystem says on stderr is not mixed in", T, Libssh2, OpenSsh) {
  ScriptServer server("head -c 8000000 /dev/zero >&2; echo hello; cat");
  const auto channel = connected<T>(server.options());
  Conversation conversation(*channel);
  REQUIRE_FALSE(conversation.run_until(6).has_value());
  CHECK(conversation.input() == "hello\n");
}

TEST_CASE_TEMPLATE("all bytes come back in order, both directions full, also across key exchanges",
                   T, Libssh2, OpenSsh) {
  std::vector<std::string> config;
  SUBCASE("without") {}
  SUBCASE("with") {
    config = {"RekeyLimit 1M"};
  }
  ScriptServer server("exec /bin/cat", config);
  const auto channel = connected<T>(server.options());
  std::string sent;
  while (sent.size() < 24'000'000) sent += fmt::format("{:x}.", sent.size());
  Conversation conversation(*channel);
  conversation.send(sent);
  const auto error = conversation.run_until(sent.size(), 60s);
  if (error) FAIL(error->message);
  CHECK(conversation.input() == sent);
}

TEST_CASE_TEMPLATE("a server that does not take what we send is waited for, not polled in a loop",
                   T, Libssh2, OpenSsh) {
  ScriptServer server("read go; head -c 8000000 >/dev/null; echo done; cat");
  const auto channel = connected<T>(server.options());
  Conversation conversation(*channel);
  conversation.send("\n" + std::string(8'000'000, 'x'));
  const auto error = conversation.run_until(5);
  if (error) FAIL(error->message);
  CHECK(conversation.input() == "done\n");
}

TEST_CASE_TEMPLATE("a closed channel window leaves nothing to poll for but input", T, Libssh2,
                   OpenSsh) {
  ScriptServer server("exec /bin/sleep 1000");
  const auto channel = connected<T>(server.options());
  Conversation conversation(*channel);
  conversation.send(std::string(8'000'000, 'x'));
  // The window is 2 MiB: until it is full each wait ends at once, afterwards none does.
  const auto error = conversation.run_until(1, 2s);
  REQUIRE(error.has_value());
  CHECK(error->kind == ErrorKind::kFailed);
  CHECK(conversation.unsent() > 0);
  CHECK(conversation.turns() < 2000);
}

TEST_CASE_TEMPLATE("replies that a write took from the socket end the next wait at once", T,
                   Libssh2, OpenSsh) {
  ScriptServer server("exec /bin/cat");
  const auto channel = connected<T>(server.options());
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

TEST_CASE_TEMPLATE("destroying a channel does not wait for a server that hangs", T, Libssh2,
                   OpenSsh) {
  OpenSshServer server;
  auto channel = connected<T>(server.connect_options());
  check_speaks_sftp(*channel);
  server.freeze_connections();
  const auto before = std::chrono::steady_clock::now();
  channel.reset();
  CHECK(std::chrono::steady_clock::now() - before < 2s);
}

TEST_CASE_TEMPLATE("destroying a channel ends the session on the server", T, Libssh2, OpenSsh) {
  OpenSshServer server;
  auto channel = connected<T>(server.connect_options());
  CHECK(server.connection_count() == 1);
  channel.reset();
  CHECK(eventually([&] { return server.connection_count() == 0; }));
  CHECK(server.log().find("Disconnected from user") != std::string::npos);
}
