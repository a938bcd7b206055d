#include "ferry/sftp/transport_choice.h"

#include <algorithm>
#include <boost/filesystem/operations.hpp>
#include <cstdlib>

#include "ferry/base/child_process.h"
#include "ferry/sftp/person.h"
#include "sftp/ssh/local_user.h"
#include "sftp/ssh/login.h"
#include "sftp/ssh/private_key.h"
#include "sftp/ssh/ssh_command.h"
#include "sftp/ssh/ssh_configuration.h"

namespace ferry::sftp {
namespace {

bool is_there(const fs::path& file) {
  boost::system::error_code ignored;
  return fs::exists(file, ignored);
}

bool can_sign_with_rsa(const ConnectOptions& options) {
  return !libssh2_signs_rsa_with_sha1_only() || options.legacy_algorithms;
}

/// Where there are no other keys than those of an agent.
std::string reason_of_agent(const ConnectOptions& options, const StopToken& stop) {
  const bool has_agent = options.use_agent && std::getenv("SSH_AUTH_SOCK") != nullptr;
  if (!has_agent || can_sign_with_rsa(options)) return {};
  const auto listed = run_command({"ssh-add", "-L"}, ssh_environment(), -1, options.timeout, stop);
  if (!listed || listed->status != 0) return {};
  for (std::string_view rest = listed->output; !rest.empty();) {
    if (!rest.starts_with("ssh-rsa ")) return {};
    rest.remove_prefix(std::min(rest.find('\n'), rest.size() - 1) + 1);
  }
  return "libssh2 signs with the agent's RSA keys by SHA-1 only";
}

/// What libssh2 cannot log in with; empty: nothing.
std::string reason_of_keys(const ConnectOptions& options, const StopToken& stop) {
  std::vector<fs::path> keys;
  for (const fs::path& key : identities_of(options)) {
    if (is_there(key)) keys.push_back(key);
  }
  if (keys.empty()) return reason_of_agent(options, stop);
  for (const fs::path& key : keys) {
    fs::path certificate = key;
    certificate += "-cert.pub";
    if (is_there(certificate)) {
      return fmt::format("{} has a certificate", key.string());
    }
  }
  std::string reason;
  for (const fs::path& key : keys) {
    const PrivateKey seen = look_at_private_key(key);
    if (seen.is_in_hardware) {
      reason = fmt::format("{} is a security key's", key.string());
    } else if (seen.is_rsa && !can_sign_with_rsa(options)) {
      reason = fmt::format("libssh2 signs with {} by SHA-1 only", key.string());
    } else {
      return {};  // there is one that it can use
    }
  }
  return reason;
}

std::string reason_of_configuration(const ConnectOptions& options, const StopToken& stop) {
  const std::string configuration = ssh_configuration(options, stop);
  for (const char* key : {"proxyjump", "proxycommand", "certificatefile", "pkcs11provider"}) {
    const std::string_view value = value_in(configuration, key);
    if (!value.empty() && value != "none") return fmt::format("ssh_config has {} for it", key);
  }
  const std::string_view host = value_in(configuration, "hostname");
  if (!host.empty() && host != options.host) return fmt::format("ssh_config calls it {}", host);
  const std::string_view user = value_in(configuration, "user");
  if (options.user.empty() && !user.empty() && user != local_user_name()) {
    return fmt::format("ssh_config names the user {}", user);
  }
  return {};
}

/// Of the usual keys nobody knows whether the server takes them: a person at a terminal may have a
/// password for it, or a passphrase, which ssh would not ask for.
bool should_ask_instead(const ConnectOptions& options) {
  if (!options.identities.empty() || person() == nullptr) return false;
  StopToken stop;
  const auto channel = connect_openssh(options, stop);
  return !channel && channel.error().kind == ErrorKind::kRefused;
}

}  // namespace

TransportChoice choose_transport(const ConnectOptions& options, const StopToken& stop) {
  if (!options.password.empty() || !options.passphrase.empty()) return {};
  if (!find_program("ssh")) return {};
  std::string reason = reason_of_keys(options, stop);
  if (!reason.empty() && should_ask_instead(options)) return {};
  if (reason.empty()) reason = reason_of_configuration(options, stop);
  if (reason.empty()) return {};
  return {Transport::kOpenSsh, std::move(reason)};
}

}  // namespace ferry::sftp
