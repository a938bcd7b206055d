#include "ferry/sftp/transport_choice.h"

#include <algorithm>
#include <boost/filesystem/operations.hpp>
#include <map>

#include "ferry/base/child_process.h"
#include "ferry/sftp/person.h"
#include "sftp/local_user.h"
#include "sftp/login.h"
#include "sftp/private_key.h"

namespace ferry::sftp {
namespace {

/// `Match exec` of an ssh_config may take its time.
constexpr std::chrono::seconds kTimeLimit{5};

bool is_there(const fs::path& file) {
  boost::system::error_code ignored;
  return fs::exists(file, ignored);
}

/// What libssh2 cannot log in with; empty: nothing. Of the usual keys nobody knows whether the server
/// takes them: a person at a terminal may have a password for it, which ssh would not ask for.
std::string reason_of_keys(const ConnectOptions& options) {
  if (options.identities.empty() && person() != nullptr) return {};
  std::vector<fs::path> keys;
  for (const fs::path& key : identities_of(options)) {
    if (is_there(key)) keys.push_back(key);
  }
  for (const fs::path& key : keys) {
    fs::path certificate = key;
    if (is_there(certificate += "-cert.pub")) {
      return fmt::format("{} has a certificate", key.string());
    }
  }
  std::string reason;
  for (const fs::path& key : keys) {
    const PrivateKey seen = look_at_private_key(key);
    if (seen.is_in_hardware) {
      reason = fmt::format("{} is a security key's", key.string());
    } else if (seen.is_rsa && libssh2_signs_rsa_with_sha1_only() && !options.legacy_algorithms) {
      reason = fmt::format("libssh2 signs with {} by SHA-1 only", key.string());
    } else {
      return {};  // there is one that it can use
    }
  }
  return reason;
}

std::map<std::string, std::string> read_configuration(const std::string& text) {
  std::map<std::string, std::string> values;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line = text.substr(begin, end - begin);
    const auto gap = line.find(' ');
    if (gap != line.npos) values.emplace(line.substr(0, gap), line.substr(gap + 1));
    begin = end + 1;
  }
  return values;
}

std::string reason_of_configuration(const ConnectOptions& options, const StopToken& stop) {
  const auto ended = run_command({"ssh", "-G", "-p", std::to_string(options.port), "--", options.host},
                                 {}, -1, kTimeLimit, stop);
  if (!ended || ended->status != 0) return {};
  auto values = read_configuration(ended->output);
  for (const char* key : {"proxyjump", "proxycommand", "certificatefile", "pkcs11provider"}) {
    const auto found = values.find(key);
    if (found == values.end() || found->second == "none") continue;
    return fmt::format("ssh_config has {} for it", key);
  }
  if (values.contains("hostname") && values["hostname"] != options.host) {
    return fmt::format("ssh_config calls it {}", values["hostname"]);
  }
  if (options.user.empty() && values.contains("user") && values["user"] != local_user_name()) {
    return fmt::format("ssh_config names the user {}", values["user"]);
  }
  return {};
}

}  // namespace

TransportChoice choose_transport(const ConnectOptions& options, const StopToken& stop) {
  if (!options.password.empty() || !options.passphrase.empty()) return {};
  if (!find_program("ssh")) return {};
  std::string reason = reason_of_keys(options);
  if (reason.empty()) reason = reason_of_configuration(options, stop);
  if (reason.empty()) return {};
  return {Transport::kOpenSsh, std::move(reason)};
}

}  // namespace ferry::sftp
