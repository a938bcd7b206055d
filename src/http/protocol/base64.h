// Base64 (RFC 4648, 4). Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "ferry/base/hash.h"

namespace ferry::http {

/// The bytes that TEXT, with its padding, stands for; nothing if it is malformed.
std::optional<std::string> decode_base64(std::string_view text);

/// Likewise a digest of ALGORITHM.
std::optional<Checksum> decode_digest(HashAlgorithm algorithm, std::string_view text);

}  // namespace ferry::http
