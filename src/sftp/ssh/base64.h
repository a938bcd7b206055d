// Base64 (RFC 4648, section 4).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace ferry::sftp {

std::string base64_encode(std::string_view bytes);

/// Nothing if TEXT is not whole groups of the alphabet with proper padding.
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace ferry::sftp
