#include "sftp/ssh/algorithms.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "ferry/base/text.h"

namespace ferry::sftp {

// Names that begin or end like key exchanges and are none (RFC 8308, OpenSSH's PROTOCOL) turn on
// extensions in versions of libssh2 that know them.
const AlgorithmNames kKeyExchanges{
    .today = {"curve25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp256",
              "ecdh-sha2-nistp384", "ecdh-sha2-nistp521", "diffie-hellman-group-exchange-sha256",
              "diffie-hellman-group16-sha512", "diffie-hellman-group18-sha512",
              "diffie-hellman-group14-sha256", "ext-info-c", "kex-strict-c-v00@openssh.com"},
    .legacy = {"diffie-hellman-group14-sha1", "diffie-hellman-group-exchange-sha1",
               "diffie-hellman-group1-sha1"}};

// GCM needs no MAC and one call per packet; libssh2 has it from 1.11 on.
const AlgorithmNames kCiphers{
    .today = {"aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes192-ctr",
              "aes256-ctr", "chacha20-poly1305@openssh.com"},
    .legacy = {"aes128-cbc", "aes192-cbc", "aes256-cbc", "3des-cbc"}};

const AlgorithmNames kMacs{.today = {"hmac-sha2-256", "hmac-sha2-256-etm@openssh.com",
                                     "hmac-sha2-512", "hmac-sha2-512-etm@openssh.com"},
                           .legacy = {"hmac-sha1-etm@openssh.com", "hmac-sha1"}};

bool is_legacy_algorithm(std::string_view name) {
  const std::string_view plain = name.substr(0, name.find('@'));
  const bool is_rsa_or_dss = plain.starts_with("ssh-rsa") || plain.starts_with("ssh-dss");
  const bool uses_sha1 = plain.contains("-sha1") || plain.contains("-md5");
  return is_rsa_or_dss || uses_sha1 || plain.ends_with("-cbc") || plain.starts_with("arcfour");
}

std::vector<std::string> AlgorithmNames::with_legacy_if(bool wanted) const {
  std::vector<std::string> names = today;
  if (wanted) names.insert(names.end(), legacy.begin(), legacy.end());
  return names;
}

std::vector<std::string> split_names(std::string_view list) {
  std::vector<std::string> names;
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(','), list.size());
    if (end > 0) names.emplace_back(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return names;
}

std::string join_names(std::span<const std::string> names) {
  return fmt::format("{}", fmt::join(names, ","));
}

std::string common_names(const std::vector<std::string>& names,
                         std::span<const char* const> supported) {
  std::vector<std::string> common;
  std::ranges::copy_if(names, std::back_inserter(common), [&](const std::string& name) {
    return std::ranges::find(supported, name) != supported.end();
  });
  return join_names(common);
}

namespace {

/// Takes a number, and a text with its length before it, off the front (RFC 4251, 5).
std::optional<std::uint32_t> take_number(std::string_view& bytes) {
  constexpr std::size_t kSize = 4;
  if (bytes.size() < kSize) return std::nullopt;
  std::uint32_t number = 0;
  for (const char byte : bytes.substr(0, kSize)) {
    number = number << 8 | static_cast<unsigned char>(byte);
  }
  bytes.remove_prefix(kSize);
  return number;
}

std::string take_text(std::string_view& bytes) {
  const auto size = take_number(bytes);
  if (!size || *size > bytes.size()) {
    bytes = {};
    return {};
  }
  std::string text(bytes.substr(0, *size));
  bytes.remove_prefix(*size);
  return text;
}

/// What follows the server's identification; other lines may come before that (RFC 4253, 4.2).
std::string_view after_identification(std::string_view greeting) {
  while (!greeting.empty()) {
    const bool is_identification = greeting.starts_with("SSH-");
    const std::size_t end = greeting.find('\n');
    if (end == greeting.npos) return {};
    greeting.remove_prefix(end + 1);
    if (is_identification) return greeting;
  }
  return {};
}

}  // namespace

AlgorithmOffer parse_offer(std::string_view greeting) {
  constexpr char kKexInit = 20;
  constexpr std::size_t kPaddingLength = 1;
  constexpr std::size_t kCookie = 16;
  std::string_view packet = after_identification(greeting);
  const auto size = take_number(packet);
  if (!size || packet.size() < kPaddingLength + 1 + kCookie) return {};
  packet.remove_prefix(kPaddingLength);
  if (packet.front() != kKexInit) return {};
  packet.remove_prefix(1 + kCookie);
  AlgorithmOffer offer;
  offer.key_exchanges = take_text(packet);
  offer.host_keys = take_text(packet);
  offer.ciphers = take_text(packet);
  take_text(packet);  // from the server to us
  offer.macs = take_text(packet);
  return offer;
}

std::string describe_mismatch(const AlgorithmOffer& offer, const AlgorithmOffer& ours) {
  struct Kind {
    std::string_view name;
    std::string AlgorithmOffer::* names;
  };
  constexpr std::array kKinds{Kind{"key exchange", &AlgorithmOffer::key_exchanges},
                              Kind{"host key algorithm", &AlgorithmOffer::host_keys},
                              Kind{"cipher", &AlgorithmOffer::ciphers},
                              Kind{"MAC", &AlgorithmOffer::macs}};
  for (const Kind& kind : kKinds) {
    const auto theirs = split_names(offer.*kind.names);
    const auto known = split_names(ours.*kind.names);
    if (theirs.empty() || std::ranges::find_first_of(known, theirs) != known.end()) continue;
    return fmt::format("no common {}: the server offers {}", kind.name, excerpt(offer.*kind.names));
  }
  return {};
}

}  // namespace ferry::sftp
