// SSH's algorithms: what to propose, best first, and what only on demand.
//
// Legacy is what OpenSSH 9 does not propose by itself (RSA signatures and key exchanges that use
// SHA-1, CBC ciphers), and MACs that use SHA-1 or MD5: ConnectOptions::legacy_algorithms.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::sftp {

bool is_legacy_algorithm(std::string_view name);

struct AlgorithmNames {
  std::vector<std::string> today;
  std::vector<std::string> legacy;

  std::vector<std::string> with_legacy_if(bool wanted) const;
};

extern const AlgorithmNames kKeyExchanges;
extern const AlgorithmNames kCiphers;
extern const AlgorithmNames kMacs;
inline constexpr std::string_view kLegacyRsa = "ssh-rsa";  // of host keys and logins

/// "a,b,c" taken apart.
std::vector<std::string> split_names(std::string_view list);
std::string join_names(std::span<const std::string> names);

/// Those of NAMES that are SUPPORTED, in their order, separated by commas.
std::string common_names(const std::vector<std::string>& names,
                         std::span<const char* const> supported);

/// What a server proposed in its first packet (RFC 4253, 7.1); comma-separated.
struct AlgorithmOffer {
  std::string key_exchanges;
  std::string host_keys;
  std::string ciphers;  // from us to the server, as all of it
  std::string macs;
};

/// From the first bytes that a server sent: its identification, and its first packet.
AlgorithmOffer parse_offer(std::string_view greeting);

/// "no common cipher: the server offers …", for the first kind that OFFER shares nothing of with
/// OURS; empty: none.
std::string describe_mismatch(const AlgorithmOffer& offer, const AlgorithmOffer& ours);

}  // namespace ferry::sftp
