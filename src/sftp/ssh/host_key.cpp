#include "sftp/ssh/host_key.h"

#include <algorithm>
#include <iterator>

#include "ferry/base/input.h"
#include "ferry/sftp/person.h"
#include "sftp/ssh/algorithms.h"
#include "sftp/ssh/local_user.h"

namespace ferry::sftp {
namespace {

constexpr std::size_t kLongestKnownHosts = 64 << 20;

std::string describe(std::string_view key) {
  return fmt::format("{} {}", key_type_of(key), fingerprint(key));
}

std::string place(const KnownHost& entry) {
  return fmt::format("{}:{}", entry.file.string(), entry.line);
}

void add_algorithms(std::string_view key_type, bool legacy, std::vector<std::string>& algorithms) {
  const auto add = [&](std::string_view name) {
    if (std::ranges::find(algorithms, name) == algorithms.end()) algorithms.emplace_back(name);
  };
  if (key_type == kLegacyRsa) {
    add("rsa-sha2-512");
    add("rsa-sha2-256");
  }
  if (legacy || !is_legacy_algorithm(key_type)) add(key_type);
}

}  // namespace

Result<HostKeyCheck> HostKeyCheck::load(const ConnectOptions& options, const StopToken& stop) {
  HostKeyCheck check(options);
  check.files_ = options.known_hosts;
  if (check.files_.empty()) {
    check.files_ = {home_directory() / ".ssh" / "known_hosts", "/etc/ssh/ssh_known_hosts"};
  }
  for (const fs::path& file : check.files_) {
    const auto text = read_input(file, kLongestKnownHosts, stop);
    if (!text) {
      if (text.error().kind == ErrorKind::kNotFound) continue;
      if (text.error().kind == ErrorKind::kCancelled) return text.error();
      return make_error(ErrorKind::kRefused, "known hosts cannot be read: {}",
                        text.error().message);
    }
    std::ranges::move(parse_known_hosts(*text, file), std::back_inserter(check.known_));
  }
  return check;
}

std::vector<std::string> HostKeyCheck::algorithms() const {
  std::vector<std::string> result;
  for (const std::string& type : known_key_types(known_, options_->host, options_->port)) {
    add_algorithms(type, options_->legacy_algorithms, result);
  }
  for (const char* type : {"ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384",
                           "ecdsa-sha2-nistp521", "ssh-rsa"}) {
    add_algorithms(type, options_->legacy_algorithms, result);
  }
  return result;
}

Error HostKeyCheck::unknown(std::string_view key) const {
  return make_error(
      ErrorKind::kRefused,
      "the host key of {} is unknown: {}. Compare it with what the server's operator says; then "
      "accept it with --accept-new-host-key, or append the line that 'ssh-keyscan -p {} {}' prints "
      "to {}",
      known_hosts_name(options_->host, options_->port), describe(key), options_->port,
      options_->host, files_.front().string());
}

Result<void> HostKeyCheck::check(std::string_view key) const {
  const std::string name = known_hosts_name(options_->host, options_->port);
  const HostKeyLookup found = look_up(known_, options_->host, options_->port, key);
  switch (found.status) {
    case HostKeyStatus::kMatch:
      return {};
    case HostKeyStatus::kUnknown:
      break;
    case HostKeyStatus::kChanged:
      return make_error(
          ErrorKind::kRefused,
          "THE HOST KEY OF {} HAS CHANGED: the server offers {}, but {} expects {}. Somebody may "
          "be in the middle and pose as the server. If the server really has a new key (ask its "
          "operator), remove that line and accept the new key",
          name, describe(key), place(*found.known), fingerprint(found.known->key));
    case HostKeyStatus::kOtherType:
      return make_error(
          ErrorKind::kRefused,
          "the host key of {} cannot be checked: the server offers {}, but {} holds a {} key, "
          "which the server did not offer in a form that libssh2 understands. Somebody may be in "
          "the middle. If the fingerprint is the server's (ask its operator), append the line that "
          "'ssh-keyscan -p {} {}' prints for it to {}",
          name, describe(key), place(*found.known), found.known->key_type, options_->port,
          options_->host, files_.front().string());
    case HostKeyStatus::kRevoked:
      return make_error(ErrorKind::kRefused,
                        "the host key of {} is revoked: the server offers {}, which {} marks "
                        "@revoked. Do not connect before its operator has replaced the key",
                        name, describe(key), place(*found.known));
  }
  const bool is_accepted = options_->accept_new_host_key ||
                           (person() != nullptr && person()->accepts_host_key(name, describe(key)));
  if (!is_accepted) return unknown(key);
  if (auto added = add_known_host(files_.front(), options_->host, options_->port, key); !added) {
    return make_error(ErrorKind::kRefused, "the new host key of {} cannot be kept: {}", name,
                      added.error().message);
  }
  return {};
}

}  // namespace ferry::sftp
