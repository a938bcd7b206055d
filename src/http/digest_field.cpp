#include "http/digest_field.h"

#include <openssl/evp.h>

#include <algorithm>
#include <optional>

namespace ferry::http {
namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::unexpected<Problem> malformed() {
  return refuse(400, "invalid",
                "a digest is written as sha-256=:BASE64: or sha-512=:BASE64: (RFC 9530)");
}

/// A checksum from TEXT, which is base64 with its padding.
std::optional<Checksum> decode(HashAlgorithm algorithm, std::string_view text) {
  Checksum checksum{.algorithm = algorithm, .digest = {}};
  const std::size_t size = digest_size(algorithm);
  const std::size_t padding = (3 - size % 3) % 3;
  if (text.size() != (size + padding) / 3 * 4) return std::nullopt;
  std::vector<unsigned char> bytes(size + padding);
  const int decoded =
      EVP_DecodeBlock(bytes.data(), reinterpret_cast<const unsigned char*>(text.data()),
                      static_cast<int>(text.size()));
  if (decoded != static_cast<int>(bytes.size())) return std::nullopt;
  if (static_cast<std::size_t>(std::ranges::count(text, '=')) != padding) return std::nullopt;
  std::ranges::transform(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size),
                         checksum.digest.begin(), [](unsigned char c) { return std::byte{c}; });
  return checksum;
}

std::optional<HashAlgorithm> algorithm_named(std::string_view name) {
  if (name == "sha-256") return HashAlgorithm::kSha256;
  if (name == "sha-512") return HashAlgorithm::kSha512;
  return std::nullopt;
}

}  // namespace

Answer<std::vector<Checksum>> parse_digest_field(std::string_view value) {
  std::vector<Checksum> checksums;
  for (std::size_t start = 0; start <= value.size();) {
    const std::size_t end = std::min(value.find(',', start), value.size());
    const auto member = trimmed(value.substr(start, end - start));
    start = end + 1;
    const auto equals = member.find('=');
    if (equals == member.npos || equals == 0) return malformed();
    const auto text = member.substr(equals + 1);
    if (text.size() < 2 || text.front() != ':' || text.back() != ':') return malformed();
    const auto algorithm = algorithm_named(member.substr(0, equals));
    if (!algorithm) continue;
    const auto checksum = decode(*algorithm, text.substr(1, text.size() - 2));
    if (!checksum) return malformed();
    checksums.push_back(*checksum);
  }
  if (checksums.empty()) {
    return refuse(400, "invalid", "the digest's algorithm is neither sha-256 nor sha-512",
                  {{"Want-Repr-Digest", "sha-256=10, sha-512=5"}});
  }
  return checksums;
}

}  // namespace ferry::http
