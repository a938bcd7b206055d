#include "http/protocol/digest_field.h"

#include <algorithm>
#include <optional>

#include "http/protocol/base64.h"

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
    const auto checksum = decode_digest(*algorithm, text.substr(1, text.size() - 2));
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
