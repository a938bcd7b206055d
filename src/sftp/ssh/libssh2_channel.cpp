// The only file that knows libssh2. It is used in non-blocking mode throughout, and only for the
// SSH layers: transport, login, one channel.
#include <libssh2.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <concepts>
#include <cstring>
#include <optional>

#include "ferry/base/text.h"
#include "ferry/sftp/connect.h"
#include "sftp/ssh/agent_socket.h"
#include "sftp/ssh/algorithms.h"
#include "sftp/ssh/channel_end.h"
#include "sftp/ssh/channel_startup.h"
#include "sftp/ssh/dial.h"
#include "sftp/ssh/host_key.h"
#include "sftp/ssh/local_user.h"
#include "sftp/ssh/login.h"
#include "sftp/ssh/socket_stream.h"

namespace ferry::sftp {
namespace {

// Before it, libssh2 signs with RSA keys by SHA-1 only.
constexpr int kFirstVersionWithRsaSha2 = 0x010b00;
constexpr unsigned kChannelWindow = 8 * 1024 * 1024;
constexpr unsigned kChannelPacket = LIBSSH2_CHANNEL_PACKET_DEFAULT;
// Above a quarter of the window libssh2 sends a window adjustment with every read.
constexpr std::size_t kLargestRead = 256 * 1024;

bool initialise_libssh2() {
  static const bool initialised = libssh2_init(0) == 0;
  return initialised;
}

/// A libssh2 session and the socket under it. libssh2 calls back into it, so it stays where it is.
class Session {
 public:
  Session(UniqueFd socket, std::string peer, std::chrono::milliseconds timeout, StopToken& stop)
      : stream_(std::move(socket)), peer_(std::move(peer)), timeout_(timeout), stop_(&stop) {}
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Waits for nothing: says good-bye if the socket takes it, then cuts libssh2 off from the socket.
  ~Session() {
    if (raw_ == nullptr) return;
    if (established_ && !dropped()) libssh2_session_disconnect(raw_, "done");
    stream_.abandon();
    libssh2_session_free(raw_);
  }

  Result<void> start() {
    if (initialise_libssh2()) raw_ = libssh2_session_init_ex(nullptr, nullptr, nullptr, this);
    if (raw_ == nullptr) return make_error(ErrorKind::kFailed, "libssh2 does not start");
    libssh2_session_set_blocking(raw_, 0);
    set_callback(LIBSSH2_CALLBACK_RECV, reinterpret_cast<void*>(&on_receive));
    set_callback(LIBSSH2_CALLBACK_SEND, reinterpret_cast<void*>(&on_send));
    set_callback(LIBSSH2_CALLBACK_DISCONNECT, reinterpret_cast<void*>(&on_disconnect));
    return {};
  }

  /// Repeats CALL until it gives something else than LIBSSH2_ERROR_EAGAIN. STEP is for messages.
  template <std::invocable Call>
  Result<int> complete(std::string_view step, Call call) {
    const auto deadline = Clock::now() + timeout_;
    for (;;) {
      stream_.begin_turn();
      const int code = call();
      stream_.flush();
      if (code != LIBSSH2_ERROR_EAGAIN) return code;
      stream_.acknowledge_at_once();
      const short events = static_cast<short>(stream_.has_output() ? POLLIN | POLLOUT : POLLIN);
      const auto waited = wait_for(stream_.fd(), events, deadline, *stop_);
      const std::string what = fmt::format("{}: {}", peer_, step);
      if (waited == WaitResult::kStopped) return cancelled(what);
      if (waited == WaitResult::kTimedOut) return timed_out(what, timeout_);
    }
  }

  /// Puts NAMES first to last; those that this libssh2 lacks are left out. Returns the others.
  Result<std::string> prefer(int method, const std::vector<std::string>& names) {
    const char** supported = nullptr;
    const int count = libssh2_session_supported_algs(raw_, method, &supported);
    std::string list = common_names(names, {supported, supported + std::max(count, 0)});
    if (count > 0) libssh2_free(raw_, static_cast<void*>(supported));
    if (libssh2_session_method_pref(raw_, method, list.c_str()) == 0) return list;
    return make_error(ErrorKind::kFailed, "libssh2 {} has none of {}", libssh2_version(0),
                      fmt::join(names, ","));
  }

  void set_established() {
    established_ = true;
    greeting_.clear();
  }
  void set_proposal(AlgorithmOffer proposal) { proposal_ = std::move(proposal); }
  const AlgorithmOffer& proposal() const { return proposal_; }
  AlgorithmOffer server_offer() const { return parse_offer(greeting_); }
  std::string agreed(int method) const {
    const char* name = libssh2_session_methods(raw_, method);
    return name == nullptr ? "" : name;
  }
  void set_password(const std::string* password) { password_ = password; }

  LIBSSH2_SESSION* raw() const { return raw_; }
  SocketStream& stream() { return stream_; }
  const SocketStream& stream() const { return stream_; }
  const std::string& peer() const { return peer_; }

  /// The connection is gone, or the server said that it ends it.
  bool dropped() const { return stream_.ended() || !farewell_.empty(); }
  bool has_farewell() const { return !farewell_.empty(); }

  std::string why_dropped() const {
    if (!farewell_.empty()) return fmt::format("server ended the connection: {}", farewell_);
    if (stream_.os_error() != 0) {
      return errno_error(stream_.os_error(), "connection lost").message;
    }
    return "server closed the connection";
  }

  std::string last_error() const {
    char* message = nullptr;
    int size = 0;
    const int code = libssh2_session_last_error(raw_, &message, &size, 0);
    if (message == nullptr || size <= 0) return fmt::format("libssh2 error {}", code);
    return excerpt(std::string_view(message, static_cast<std::size_t>(size)));
  }

 private:
  /// Keeps what the server said first, for a message if it does not come to an agreement.
  ssize_t receive(void* buffer, std::size_t length) {
    constexpr std::size_t kLongestGreeting = 8192;
    const ssize_t count = stream_.receive(buffer, length);
    if (count > 0 && !established_ && greeting_.size() < kLongestGreeting) {
      greeting_.append(static_cast<const char*>(buffer), static_cast<std::size_t>(count));
    }
    return count;
  }

  void set_callback(int which, void* function) {
    libssh2_session_callback_set(raw_, which, function);
  }

  static LIBSSH2_RECV_FUNC(on_receive) {
    (void)flags;
    auto& session = *static_cast<Session*>(*abstract);
    if (socket == session.stream_.fd()) return session.receive(buffer, length);
    return receive_from_agent(socket, buffer, length, session.timeout_, *session.stop_);
  }

  static LIBSSH2_SEND_FUNC(on_send) {
    (void)flags;
    auto& session = *static_cast<Session*>(*abstract);
    if (socket == session.stream_.fd()) return session.stream_.send(buffer, length);
    return send_to_agent(socket, buffer, length, session.timeout_, *session.stop_);
  }

  static LIBSSH2_DISCONNECT_FUNC(on_disconnect) {
    (void)session;
    (void)language;
    (void)language_len;
    auto& self = *static_cast<Session*>(*abstract);
    self.farewell_ =
        message == nullptr || message_len <= 0
            ? fmt::format("reason {}", reason)
            : excerpt(std::string_view(message, static_cast<std::size_t>(message_len)));
  }

 public:
  /// Answers every hidden prompt with the password. libssh2 frees the answers.
  static LIBSSH2_USERAUTH_KBDINT_RESPONSE_FUNC(on_prompts) {
    (void)name;
    (void)name_len;
    (void)instruction;
    (void)instruction_len;
    const std::string* password = static_cast<Session*>(*abstract)->password_;
    for (int index = 0; index < num_prompts; ++index) {
      const bool hidden = prompts[index].echo == 0;
      responses[index].text = ::strdup(hidden ? password->c_str() : "");
      responses[index].length = static_cast<unsigned>(hidden ? password->size() : 0);
    }
  }

 private:
  SocketStream stream_;
  std::string peer_;
  std::chrono::milliseconds timeout_;
  StopToken* stop_;  // used while connecting only
  LIBSSH2_SESSION* raw_ = nullptr;
  bool established_ = false;
  AlgorithmOffer proposal_;  // ours
  std::string greeting_;     // the server's first bytes
  std::string farewell_;     // what its disconnect message said
  const std::string* password_ = nullptr;
};

class Libssh2Authenticator final : public Authenticator {
 public:
  Libssh2Authenticator(Session& session, std::string user)
      : session_(session), user_(std::move(user)) {}

  Result<std::string> methods() override {
    std::string methods;
    const auto code = session_.complete("login", [&] {
      const char* list = libssh2_userauth_list(session_.raw(), user_.c_str(), user_size());
      if (list != nullptr) methods = list;
      if (list != nullptr || libssh2_userauth_authenticated(session_.raw()) != 0) return 0;
      return libssh2_session_last_errno(session_.raw());
    });
    if (!code) return code.error();
    if (*code != 0) return lost();
    return methods;
  }

  Result<LoginReply> offer_key(const std::string& text, const std::string& passphrase) override {
    return attempt([&] {
      return libssh2_userauth_publickey_frommemory(session_.raw(), user_.c_str(), user_.size(),
                                                   nullptr, 0, text.c_str(), text.size(),
                                                   passphrase.c_str());
    });
  }

  Result<LoginReply> offer_password(const std::string& password) override {
    return attempt([&] {
      return libssh2_userauth_password_ex(session_.raw(), user_.c_str(), user_size(),
                                          password.c_str(), static_cast<unsigned>(password.size()),
                                          nullptr);
    });
  }

  Result<LoginReply> answer_prompts(const std::string& password) override {
    session_.set_password(&password);
    return attempt([&] {
      return libssh2_userauth_keyboard_interactive_ex(session_.raw(), user_.c_str(), user_size(),
                                                      &Session::on_prompts);
    });
  }

  Result<std::vector<AgentKey>> agent_keys() override {
    agent_.reset(libssh2_agent_init(session_.raw()));
    if (!agent_ || libssh2_agent_connect(agent_.get()) != 0 ||
        libssh2_agent_list_identities(agent_.get()) != 0) {
      return make_error(ErrorKind::kUnreachable, "does not answer at SSH_AUTH_SOCK");
    }
    std::vector<AgentKey> keys;
    libssh2_agent_publickey* key = nullptr;
    while (libssh2_agent_get_identity(agent_.get(), &key, key) == 0) {
      agent_keys_.push_back(key);
      keys.push_back({.blob = {reinterpret_cast<const char*>(key->blob), key->blob_len},
                      .comment = key->comment == nullptr ? "" : key->comment});
    }
    return keys;
  }

  Result<LoginReply> offer_agent_key(std::size_t index) override {
    return attempt(
        [&] { return libssh2_agent_userauth(agent_.get(), user_.c_str(), agent_keys_[index]); });
  }

  bool signs_rsa_with_sha1_only() const override { return libssh2_signs_rsa_with_sha1_only(); }

 private:
  unsigned user_size() const { return static_cast<unsigned>(user_.size()); }

  Error lost() const {
    return make_error(ErrorKind::kUnreachable, "{}: login: {}", session_.peer(),
                      session_.dropped() ? session_.why_dropped() : session_.last_error());
  }

  template <std::invocable Call>
  Result<LoginReply> attempt(Call call) {
    const auto code = session_.complete("login", call);
    if (!code) return code.error();
    if (*code == 0) return LoginReply{LoginReply::Kind::kAccepted};
    if (session_.has_farewell()) {
      return LoginReply{LoginReply::Kind::kEnded, session_.why_dropped()};
    }
    if (session_.dropped()) return lost();
    if (*code == LIBSSH2_ERROR_AUTHENTICATION_FAILED) {
      return LoginReply{LoginReply::Kind::kRefused};
    }
    if (*code == LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED) {
      return LoginReply{LoginReply::Kind::kRefused, session_.last_error()};
    }
    return LoginReply{LoginReply::Kind::kUnusable, session_.last_error()};
  }

  using Agent = std::unique_ptr<LIBSSH2_AGENT, decltype(&libssh2_agent_free)>;

  Session& session_;
  std::string user_;
  Agent agent_{nullptr, &libssh2_agent_free};
  std::vector<libssh2_agent_publickey*> agent_keys_;  // the agent's
};

/// Relies on its user for this: after poll(2), read until nothing comes, then write. Data that
/// libssh2 took from the socket during a write count as ready for poll.
class Libssh2Channel final : public Channel {
 public:
  Libssh2Channel(std::unique_ptr<Session> session, LIBSSH2_CHANNEL* channel, UniqueFd always_ready,
                 bool is_command)
      : session_(std::move(session)),
        channel_(channel),
        always_ready_(std::move(always_ready)),
        is_command_(is_command) {}

  Result<std::size_t> read(std::span<std::byte> buffer) override {
    if (failure_) return *failure_;
    if (buffer.empty()) return 0;
    SocketStream& stream = session_->stream();
    stream.flush();
    // What has come is given out before the socket is asked, and perhaps found closed. Not so in
    // the middle of a key exchange: then libssh2 gives out nothing before it has had the rest of
    // that.
    ssize_t count = LIBSSH2_ERROR_EAGAIN;
    if (libssh2_poll_channel_read(channel_, 0) != 0) {
      stream.end_turn();
      count = read_some(buffer);
    }
    if (count == LIBSSH2_ERROR_EAGAIN) {
      stream.begin_turn();
      count = read_some(buffer);
    }
    if (count > 0) return static_cast<std::size_t>(count);
    may_hold_input_ = false;
    if (count == LIBSSH2_ERROR_EAGAIN) return 0;
    if (count == 0 && !session_->dropped() && !has_ended()) return 0;
    return fail();
  }

  Result<std::size_t> write(std::span<const std::byte> data) override {
    if (failure_) return *failure_;
    SocketStream& stream = session_->stream();
    stream.flush();
    std::size_t done = 0;
    while (done < data.size() && !stream.has_output()) {
      const std::uint64_t received = stream.received();
      const ssize_t count = libssh2_channel_write(
          channel_, reinterpret_cast<const char*>(data.data()) + done, data.size() - done);
      if (stream.received() != received) may_hold_input_ = true;
      if (count > 0) {
        done += static_cast<std::size_t>(count);
        continue;
      }
      if (count != 0 && count != LIBSSH2_ERROR_EAGAIN) return fail();
      // The stream never refuses to send: it is the server that has to say something first.
      blocked_at_ = stream.received();
      break;
    }
    return done;
  }

  std::string server_version() const override {
    const char* banner = libssh2_session_banner_get(session_->raw());
    return banner == nullptr ? std::string() : excerpt(banner);
  }

  void add_poll_fds(bool wants_write, std::vector<pollfd>& fds) const override {
    const SocketStream& stream = session_->stream();
    const bool blocked = blocked_at_ == stream.received();
    const bool for_output = stream.has_output() || (wants_write && !blocked);
    fds.push_back({stream.fd(), static_cast<short>(for_output ? POLLIN | POLLOUT : POLLIN), 0});
    if (holds_input()) fds.push_back({always_ready_.get(), POLLIN, 0});
  }

  Agreement agreement() const override {
    const std::string mac = session_->agreed(LIBSSH2_METHOD_MAC_CS);
    return {.key_exchange = session_->agreed(LIBSSH2_METHOD_KEX),
            .host_key = session_->agreed(LIBSSH2_METHOD_HOSTKEY),
            .cipher = session_->agreed(LIBSSH2_METHOD_CRYPT_CS),
            .mac = mac.empty() ? "implicit" : mac};
  }

 private:
  ssize_t read_some(std::span<std::byte> buffer) {
    return libssh2_channel_read(channel_, reinterpret_cast<char*>(buffer.data()),
                                std::min(buffer.size(), kLargestRead));
  }

  bool holds_input() const {
    if (failure_ || session_->dropped()) return true;
    return may_hold_input_ &&
           (libssh2_poll_channel_read(channel_, 0) != 0 || libssh2_channel_eof(channel_) != 0);
  }

  /// A command's exit status comes after its output; what it says on stderr hides the end of both.
  bool has_ended() {
    std::array<char, 4096> text;
    while (is_command_) {
      const ssize_t count = libssh2_channel_read_stderr(channel_, text.data(), text.size());
      if (count <= 0) break;
      stderr_text_.append(text.data(), static_cast<std::size_t>(count));
    }
    return libssh2_channel_eof(channel_) != 0 &&
           (!is_command_ || libssh2_channel_wait_closed(channel_) != LIBSSH2_ERROR_EAGAIN);
  }

  Error fail() {
    std::string why = session_->last_error();
    ErrorKind kind = ErrorKind::kConnectionLost;
    if (session_->dropped()) {
      why = session_->why_dropped();
    } else if (libssh2_channel_eof(channel_) != 0) {
      const int status = libssh2_channel_get_exit_status(channel_);
      if (is_command_) kind = ErrorKind::kFailed;
      why = is_command_ ? how_command_ended(status, stderr_text_) : how_sftp_ended(status);
    }
    failure_ = make_error(kind, "{}: {}", session_->peer(), why);
    return *failure_;
  }

  std::unique_ptr<Session> session_;
  LIBSSH2_CHANNEL* channel_;  // the session frees it
  UniqueFd always_ready_;
  bool is_command_;
  std::string stderr_text_;  // of a command
  bool may_hold_input_ = true;
  std::optional<std::uint64_t> blocked_at_;  // stream().received() when a write was put off
  std::optional<Error> failure_;
};

Result<void> set_preferences(Session& session, const HostKeyCheck& host_key, bool legacy) {
  AlgorithmOffer ours;
  const auto ciphers = kCiphers.with_legacy_if(legacy);
  const auto macs = kMacs.with_legacy_if(legacy);
  struct Preference {
    int method;
    std::vector<std::string> names;
    std::string& list;
  };
  const Preference preferences[] = {
      {LIBSSH2_METHOD_KEX, kKeyExchanges.with_legacy_if(legacy), ours.key_exchanges},
      {LIBSSH2_METHOD_HOSTKEY, host_key.algorithms(), ours.host_keys},
      {LIBSSH2_METHOD_CRYPT_CS, ciphers, ours.ciphers},
      {LIBSSH2_METHOD_CRYPT_SC, ciphers, ours.ciphers},
      {LIBSSH2_METHOD_MAC_CS, macs, ours.macs},
      {LIBSSH2_METHOD_MAC_SC, macs, ours.macs}};
  for (const Preference& preference : preferences) {
    auto list = session.prefer(preference.method, preference.names);
    if (!list) return list.error();
    preference.list = std::move(*list);
  }
  session.set_proposal(std::move(ours));
  return {};
}

/// Where both sides could not agree: what the server offers, and what to do about it.
Error no_agreement(const Session& session) {
  const AlgorithmOffer offer = session.server_offer();
  std::string why = describe_mismatch(offer, session.proposal());
  if (why.empty()) why = session.last_error();
  return make_error(
      ErrorKind::kRefused,
      "{}: key exchange: {}. The openssh transport knows more algorithms than libssh2 "
      "{}; outdated ones are accepted with legacy_algorithms = true for this server",
      session.peer(), why, libssh2_version(0));
}

Result<void> shake_hands(Session& session) {
  const auto code = session.complete("key exchange", [&] {
    return libssh2_session_handshake(session.raw(), session.stream().fd());
  });
  if (!code) return code.error();
  if (*code == 0) {
    session.set_established();
    return {};
  }
  if (*code == LIBSSH2_ERROR_BANNER_RECV && !session.dropped()) {
    return make_error(ErrorKind::kRefused, "{}: what answers there is not an SSH server",
                      session.peer());
  }
  if (session.dropped()) {
    return make_error(ErrorKind::kConnectionLost,
                      "{}: key exchange: {} (too many connections at once, MaxStartups? not an SSH "
                      "server?)",
                      session.peer(), session.why_dropped());
  }
  return no_agreement(session);
}

Result<void> check_host_key(const Session& session, const HostKeyCheck& host_key) {
  std::size_t size = 0;
  const char* key = libssh2_session_hostkey(session.raw(), &size, nullptr);
  if (key == nullptr) {
    return make_error(ErrorKind::kRefused, "{}: server showed no host key", session.peer());
  }
  return host_key.check(std::string_view(key, size));
}

Result<void> log_in_to(Session& session, const ConnectOptions& options) {
  const std::string user = options.user.empty() ? local_user_name() : options.user;
  Libssh2Authenticator authenticator(session, user);
  return log_in(authenticator, options, user + "@" + session.peer());
}

Result<LIBSSH2_CHANNEL*> open_channel(Session& session, const ChannelStartup& startup) {
  constexpr std::string_view kType = "session";
  LIBSSH2_CHANNEL* channel = nullptr;
  auto code = session.complete("open a channel", [&] {
    channel = libssh2_channel_open_ex(session.raw(), kType.data(), kType.size(), kChannelWindow,
                                      kChannelPacket, nullptr, 0);
    return channel != nullptr ? 0 : libssh2_session_last_errno(session.raw());
  });
  if (code && *code == 0) {
    if (!startup.is_command) {
      libssh2_channel_handle_extended_data2(channel, LIBSSH2_CHANNEL_EXTENDED_DATA_IGNORE);
    }
    code = session.complete(startup.request, [&] {
      return libssh2_channel_process_startup(
          channel, startup.request.data(), static_cast<unsigned>(startup.request.size()),
          startup.argument.data(), static_cast<unsigned>(startup.argument.size()));
    });
  }
  if (code && *code == 0 && startup.is_command) {
    code = session.complete("end of input", [&] { return libssh2_channel_send_eof(channel); });
  }
  if (!code) return code.error();
  if (*code == 0) return channel;
  if (session.dropped()) {
    return make_error(ErrorKind::kUnreachable, "{}: after the login: {}", session.peer(),
                      session.why_dropped());
  }
  return make_error(ErrorKind::kRefused, "{}: server {}: {}", session.peer(), startup.refusal,
                    session.last_error());
}

/// A connection to a server that is the one it says it is.
Result<std::unique_ptr<Session>> greet(const ConnectOptions& options, StopToken& stop) {
  const auto host_key = HostKeyCheck::load(options, stop);
  if (!host_key) return host_key.error();
  auto socket = dial(options.host, options.port, options.timeout, stop);
  if (!socket) return socket.error();
  auto session = std::make_unique<Session>(
      std::move(*socket), peer_name(options.host, options.port), options.timeout, stop);
  auto ready = session->start();
  if (ready) ready = set_preferences(*session, *host_key, options.legacy_algorithms);
  if (ready) ready = shake_hands(*session);
  if (ready) ready = check_host_key(*session, *host_key);
  if (!ready) return ready.error();
  return session;
}

}  // namespace

Result<void> ask_about_host_key(const ConnectOptions& options, StopToken& stop) {
  const auto session = greet(options, stop);
  if (!session) return session.error();
  return {};
}

bool libssh2_signs_rsa_with_sha1_only() {
  return libssh2_version(kFirstVersionWithRsaSha2) == nullptr;
}

Result<std::unique_ptr<Channel>> connect_libssh2(const ConnectOptions& options, StopToken& stop) {
  auto session = greet(options, stop);
  if (!session) return session.error();
  if (const auto ready = log_in_to(**session, options); !ready) return ready.error();
  const auto channel = open_channel(**session, channel_startup(options));
  if (!channel) return channel.error();

  UniqueFd always_ready(::eventfd(1, EFD_CLOEXEC));
  if (!always_ready) return errno_error(errno, "eventfd");
  return std::make_unique<Libssh2Channel>(std::move(*session), *channel, std::move(always_ready),
                                          !options.command.empty());
}

}  // namespace ferry::sftp
