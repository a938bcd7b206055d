// From an address to an authenticated channel.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ferry/base/file.h"
#include "ferry/base/result.h"
#include "ferry/base/stop.h"
#include "ferry/sftp/channel.h"

namespace ferry::sftp {

/// sftp://[user@]host[:port][/directory]
/// (draft-ietf-secsh-scp-sftp-ssh-uri; percent-encoding is undone). The directory starts at the
/// server's root: "/dir" for sftp://host/dir, and relative to the login directory, without a
/// leading slash, for sftp://host/~/dir; "." if there is none. A password in the URL is refused.
struct Url {
  std::string user;  // empty: the caller's own
  std::string host;
  std::uint16_t port = 22;
  std::string directory = ".";

  static Result<Url> parse(std::string_view text);
  std::string to_string() const;  // canonical; parses back to the same
};

enum class Transport : std::uint8_t {
  kLibssh2,
  kOpenSsh,
};

/// What may be on its way on a connection, and how long that is waited for.
struct LineLimits {
  /// The most data written and not yet acknowledged. Bounds the memory for data; a long line wants
  /// at least bandwidth × round trip. Where the round trip is short, less is used.
  std::size_t window_bytes = 4 << 20;
  /// No byte in either direction for this long while an answer is due: the connection is lost.
  std::chrono::milliseconds stall_timeout = std::chrono::seconds(60);

  bool operator==(const LineLimits&) const = default;
};

struct ConnectOptions {
  Transport transport = Transport::kLibssh2;
  std::string host;
  std::uint16_t port = 22;
  std::string user;  // empty: that of this process, or the one that ssh_config(5) names

  /// Private keys, tried in this order, after the agent's if use_agent is set and SSH_AUTH_SOCK
  /// is there. Empty: ~/.ssh/id_ed25519, id_ecdsa and id_rsa, those that exist.
  std::vector<fs::path> identities;
  bool use_agent = true;
  std::string passphrase;  // for encrypted private keys
  std::string password;    // tried last if not empty

  /// Files in the format of sshd(8), SSH_KNOWN_HOSTS FILE FORMAT. Empty: ~/.ssh/known_hosts and
  /// /etc/ssh/ssh_known_hosts. New keys are added to the first.
  std::vector<fs::path> known_hosts;
  bool accept_new_host_key = false;  // add the key of a host that none of the files knows

  /// Propose also what is broken or weak by today's measure, after all else: key exchanges, RSA
  /// signatures and MACs that use SHA-1, and CBC ciphers. For servers that have nothing better.
  bool legacy_algorithms = false;

  std::chrono::milliseconds timeout = std::chrono::seconds(15);  // for each step of the way
  LineLimits limits = {};                                        // once it is connected

  /// If the server drops the connection before the login. Whoever has other connections there is
  /// told at once that it wants no more.
  bool tries_again = true;

  /// Channel::agreement() is asked for: ssh(1) tells of it only when it tells a lot more.
  bool tells_agreement = false;

  /// For the account's shell, to be run in place of the sftp subsystem. It gets no input; what it
  /// writes is what the channel reads. The channel ends with kFailed when the command has ended by
  /// itself; the message has its exit status and the last line of its stderr.
  std::string command = {};

  bool operator==(const ConnectOptions&) const = default;
};

/// A directory on a server, and how to get there.
struct Location {
  ConnectOptions connect;
  std::string directory = ".";  // as Url::directory

  bool operator==(const Location&) const = default;
};

/// Connects, checks the host key, logs in, starts the sftp subsystem or the command, by
/// options.transport. A server that drops the connection before the login, as one does that has too
/// many of them (sshd_config(5), MaxStartups), is tried again for a few seconds.
/// Errors: kUnreachable (name, connection, time-out, dropped before the login: try again later),
/// kRefused (host key unknown or changed, no way to log in, no sftp subsystem), kCancelled. The
/// message says which, with the fingerprint where a host key is the matter, and what to do.
Result<std::unique_ptr<Channel>> connect(const ConnectOptions& options, StopToken& stop);

/// In this process, by libssh2. Tries once: kConnectionLost if it is dropped in the key exchange.
Result<std::unique_ptr<Channel>> connect_libssh2(const ConnectOptions& options, StopToken& stop);

/// libssh2 before 1.11, with which OpenSSH 8.8 and later let no RSA key in.
bool libssh2_signs_rsa_with_sha1_only();

/// By the ssh(1) of $PATH. Tries once, as connect_libssh2 does.
Result<std::unique_ptr<Channel>> connect_openssh(const ConnectOptions& options, StopToken& stop);

}  // namespace ferry::sftp
