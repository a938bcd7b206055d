#include "sftp/ssh/login.h"

#include <unistd.h>

#include <cstdlib>

#include "ferry/base/text.h"
#include "ferry/sftp/person.h"
#include "sftp/ssh/known_hosts.h"
#include "sftp/ssh/local_user.h"
#include "sftp/ssh/private_key.h"

namespace ferry::sftp {
namespace {

class Login {
 public:
  Login(Authenticator& authenticator, const ConnectOptions& options, const std::string& account)
      : authenticator_(authenticator), options_(options), account_(account) {}

  Result<void> run() {
    const auto methods = authenticator_.methods();
    if (!methods) return methods.error();
    if (methods->empty()) return {};
    methods_ = *methods;
    Result<bool> done = false;
    if (offers("publickey")) done = try_keys();
    if (done && !*done) done = try_password();
    if (!done) return done.error();
    if (!*done) return refusal();
    return {};
  }

 private:
  bool offers(std::string_view method) const {
    return ("," + methods_ + ",").contains(fmt::format(",{},", method));
  }

  void report(std::string_view what, std::string_view outcome) {
    tried_ += fmt::format("{}{} ({})", tried_.empty() ? "" : ", ", what, outcome);
  }

  Error refusal() const {
    constexpr std::string_view kNothing = "nothing, for want of a key or password that it takes";
    Error error = make_error(ErrorKind::kRefused, "login to {} refused: tried {}; server offers {}",
                             account_, tried_.empty() ? kNothing : tried_, excerpt(methods_));
    if (rsa_refused_) {
      error.message +=
          ". libssh2 before 1.11 signs with RSA keys by SHA-1 only, which OpenSSH 8.8 and later "
          "refuse: use an Ed25519 key (ssh-keygen -t ed25519), or the openssh transport; only for "
          "a "
          "server that has no other choice: legacy_algorithms = true";
    }
    return error;
  }

  // False: the server wants something else.
  Result<bool> conclude(const std::string& what, const Result<LoginReply>& reply) {
    if (!reply) return reply.error();
    switch (reply->kind) {
      case LoginReply::Kind::kAccepted:
        return true;
      case LoginReply::Kind::kRefused:
        report(what, reply->message.empty() ? "refused" : "refused: " + reply->message);
        return false;
      case LoginReply::Kind::kUnusable:
        report(what, reply->message);
        return false;
      case LoginReply::Kind::kEnded:
        report(what, reply->message);
        return refusal();
    }
    return false;
  }

  /// Not a key that it would prove by SHA-1.
  bool may_offer(const std::string& what, bool is_rsa) {
    const bool is_legacy = is_rsa && authenticator_.signs_rsa_with_sha1_only();
    if (is_legacy) rsa_refused_ = true;  // for the message, if nothing else is accepted
    if (!is_legacy || options_.legacy_algorithms) return true;
    report(what, "not offered: an RSA key, which is used with SHA-1");
    return false;
  }

  Result<bool> try_keys() {
    if (options_.use_agent && std::getenv("SSH_AUTH_SOCK") != nullptr) {
      auto done = try_agent();
      if (!done || *done) return done;
    }
    for (const fs::path& file : identities_of(options_)) {
      auto done = try_key_file(file);
      if (!done || *done) return done;
    }
    return false;
  }

  Result<bool> try_agent() {
    const auto keys = authenticator_.agent_keys();
    if (!keys) {
      report("agent", keys.error().message);
      return false;
    }
    for (std::size_t index = 0; index < keys->size(); ++index) {
      const AgentKey& key = (*keys)[index];
      const std::string what =
          fmt::format("agent key {} {}", fingerprint(key.blob), excerpt(key.comment));
      if (!may_offer(what, key_type_of(key.blob) == "ssh-rsa")) continue;
      auto done = conclude(what, authenticator_.offer_agent_key(index));
      if (!done || *done) return done;
    }
    return false;
  }

  Result<bool> try_key_file(const fs::path& file) {
    std::string what = "key " + file.string();
    fs::path certificate = file;
    certificate += "-cert.pub";
    if (::access(certificate.c_str(), F_OK) == 0) {
      what += ", without its certificate, which only the openssh transport uses";
    }
    // Nobody is asked for the passphrase of one that is of no use.
    if (!may_offer(what, look_at_private_key(file).is_rsa)) return false;
    std::string passphrase = options_.passphrase;
    auto key = load_private_key(file, passphrase);
    if (!key && key.error().kind == ErrorKind::kDenied && person() != nullptr) {
      passphrase = person()->passphrase(file);
      if (!passphrase.empty()) key = load_private_key(file, passphrase);
    }
    if (!key) {
      report(what, key.error().message);
      return false;
    }
    if (!may_offer(what, key->is_rsa)) return false;
    auto reply = authenticator_.offer_key(key->text, passphrase);
    if (reply && reply->kind == LoginReply::Kind::kUnusable && key->encrypted) {
      reply->message = "cannot be decrypted: wrong passphrase?";
    }
    return conclude(what, reply);
  }

  Result<bool> try_password() {
    const bool is_wanted = offers("password") || offers("keyboard-interactive");
    std::string password = options_.password;
    if (password.empty() && is_wanted && person() != nullptr) {
      password = person()->password(account_);
    }
    if (password.empty()) return false;
    if (offers("password")) return conclude("password", authenticator_.offer_password(password));
    if (is_wanted) {
      return conclude("password as the answer to keyboard-interactive prompts",
                      authenticator_.answer_prompts(password));
    }
    report("password", "not wanted by the server");
    return false;
  }

  Authenticator& authenticator_;
  const ConnectOptions& options_;
  const std::string& account_;
  std::string methods_;
  std::string tried_;
  bool rsa_refused_ = false;
};

}  // namespace

std::vector<fs::path> identities_of(const ConnectOptions& options) {
  if (!options.identities.empty()) return options.identities;
  std::vector<fs::path> found;
  for (const char* name : {"id_ed25519", "id_ecdsa", "id_rsa"}) {
    const fs::path file = home_directory() / ".ssh" / name;
    if (::access(file.c_str(), F_OK) == 0) found.push_back(file);
  }
  return found;
}

Result<void> log_in(Authenticator& authenticator, const ConnectOptions& options,
                    const std::string& account) {
  return Login(authenticator, options, account).run();
}

}  // namespace ferry::sftp
