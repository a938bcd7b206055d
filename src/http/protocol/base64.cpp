#include "http/protocol/base64.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cstring>
#include <limits>

namespace ferry::http {

std::optional<std::string> decode_base64(std::string_view text) {
  const std::size_t padding = text.size() - std::min(text.find('='), text.size());
  // Inside, EVP_DecodeBlock would take a '=' for zeros, and white space at the ends for nothing.
  if (text.size() % 4 != 0 || padding > 2 || text.size() > std::numeric_limits<int>::max() ||
      text.substr(text.size() - padding).find_first_not_of('=') != text.npos ||
      text.find_first_of(" \t\r\n") != text.npos) {
    return std::nullopt;
  }
  std::string bytes(text.size() / 4 * 3, '\0');
  const int decoded = ::EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                        reinterpret_cast<const unsigned char*>(text.data()),
                                        static_cast<int>(text.size()));
  if (decoded != static_cast<int>(bytes.size())) return std::nullopt;
  bytes.resize(bytes.size() - padding);
  return bytes;
}

std::optional<Checksum> decode_digest(HashAlgorithm algorithm, std::string_view text) {
  const auto bytes = decode_base64(text);
  if (!bytes || bytes->size() != digest_size(algorithm)) return std::nullopt;
  Checksum checksum{.algorithm = algorithm, .digest = {}};
  std::memcpy(checksum.digest.data(), bytes->data(), bytes->size());
  return checksum;
}

}  // namespace ferry::http
