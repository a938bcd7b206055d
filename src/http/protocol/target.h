// The target of a request: a path and a query (RFC 3986). Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/protocol/message.h"

namespace ferry::http {

struct Target {
  /// What lies between the slashes of the path, decoded: "/v1/files" is {"v1", "files"}, and "/" is
  /// {""}. None of them has a slash or a NUL.
  std::vector<std::string> segments;
  std::map<std::string, std::string, std::less<>> query;  // decoded

  std::optional<std::string> parameter(std::string_view name) const;
};

/// Understands "/path?query" and "http://host/path?query". A problem (400) for other forms, broken
/// or tricky percent-encoding (of a slash or NUL), and for parameters that are given twice.
Answer<Target> parse_target(std::string_view text);

/// What of a request's target may be told: without its host and its query, in which clients may
/// have put a password or a token.
std::string_view path_of(std::string_view target);

/// TEXT as one segment of a path.
std::string percent_encode(std::string_view text);

}  // namespace ferry::http
