// Who we say that we are, in which order, and what is told when nobody believes it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ferry/sftp/connect.h"

namespace ferry::sftp {

struct LoginReply {
  enum class Kind : std::uint8_t {
    kAccepted,
    kRefused,
    kUnusable,  // it did not come to the server's answer
    kEnded,     // the server had enough and said so
  };
  Kind kind = Kind::kRefused;
  std::string message = {};  // may be empty for the first two
};

struct AgentKey {
  std::string blob;
  std::string comment;
};

/// The login methods of an SSH library. An Error means that the login is over: the connection was
/// lost, the time is up, a stop was requested.
class Authenticator {
 public:
  virtual ~Authenticator() = default;

  /// Comma-separated, as in the protocol; empty if the server asks for nothing.
  virtual Result<std::string> methods() = 0;
  virtual Result<LoginReply> offer_key(const std::string& text, const std::string& passphrase) = 0;
  virtual Result<LoginReply> offer_password(const std::string& password) = 0;
  virtual Result<LoginReply> answer_prompts(const std::string& password) = 0;

  /// Fails if there is no agent to talk to.
  virtual Result<std::vector<AgentKey>> agent_keys() = 0;
  virtual Result<LoginReply> offer_agent_key(std::size_t index) = 0;

  virtual bool signs_rsa_with_sha1_only() const = 0;
};

/// Those of OPTIONS, or the usual ones that are there.
std::vector<fs::path> identities_of(const ConnectOptions& options);

/// ACCOUNT ("user@host:port") is for messages.
Result<void> log_in(Authenticator& authenticator, const ConnectOptions& options,
                    const std::string& account);

}  // namespace ferry::sftp
