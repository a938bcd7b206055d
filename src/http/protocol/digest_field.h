// Repr-Digest and Content-Digest (RFC 9530): "sha-256=:BASE64:, sha-512=:BASE64:". Pure.
#pragma once

#include <string_view>
#include <vector>

#include "ferry/base/hash.h"
#include "http/protocol/message.h"

namespace ferry::http {

/// The digests of a field's VALUE that we can compute. A problem (400) if it is malformed, or if
/// there is none of them: who sends one relies on its being checked.
Answer<std::vector<Checksum>> parse_digest_field(std::string_view value);

}  // namespace ferry::http
