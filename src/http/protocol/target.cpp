#include "http/protocol/target.h"

#include <algorithm>

namespace ferry::http {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

Answer<std::string> percent_decode(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
      const int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
      if (low < 0) return refuse(400, "invalid", "a '%' in the URL is not followed by two digits");
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    if (c == '\0') return refuse(400, "invalid", "the URL has a NUL character");
    decoded += c;
  }
  return decoded;
}

Answer<std::vector<std::string>> parse_path(std::string_view path) {
  std::vector<std::string> segments;
  path.remove_prefix(1);
  for (std::size_t start = 0; start <= path.size();) {
    const std::size_t end = std::min(path.find('/', start), path.size());
    auto segment = percent_decode(path.substr(start, end - start));
    if (!segment) return std::unexpected(segment.error());
    if (segment->contains('/')) {
      return refuse(400, "invalid", "an encoded slash in the URL separates nothing: write '/'");
    }
    segments.push_back(std::move(*segment));
    start = end + 1;
  }
  return segments;
}

/// As forms write it: '+' is a space.
Answer<std::string> decode_parameter(std::string_view text) {
  std::string spaced(text);
  std::ranges::replace(spaced, '+', ' ');
  return percent_decode(spaced);
}

Answer<void> parse_query(std::string_view query, Target& target) {
  for (std::size_t start = 0; start < query.size();) {
    const std::size_t end = std::min(query.find('&', start), query.size());
    const auto pair = query.substr(start, end - start);
    start = end + 1;
    if (pair.empty()) continue;
    const auto equals = std::min(pair.find('='), pair.size());
    auto name = decode_parameter(pair.substr(0, equals));
    if (!name) return std::unexpected(name.error());
    auto value = decode_parameter(pair.substr(std::min(equals + 1, pair.size())));
    if (!value) return std::unexpected(value.error());
    if (!target.query.emplace(*name, std::move(*value)).second) {
      return refuse(400, "invalid", fmt::format("the parameter '{}' is given twice", *name));
    }
  }
  return {};
}

/// Without "http://host": what a proxy is asked for, and every server has to understand.
std::string_view without_authority(std::string_view text) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!text.starts_with(scheme)) continue;
    const auto slash = text.find('/', scheme.size());
    return slash == text.npos ? std::string_view("/") : text.substr(slash);
  }
  return text;
}

}  // namespace

std::optional<std::string> Target::parameter(std::string_view name) const {
  const auto found = query.find(name);
  if (found == query.end()) return std::nullopt;
  return found->second;
}

Answer<Target> parse_target(std::string_view text) {
  text = without_authority(text);
  if (!text.starts_with('/')) return refuse(400, "invalid", "the URL's path begins with no slash");
  const auto mark = std::min(text.find('?'), text.size());
  auto segments = parse_path(text.substr(0, mark));
  if (!segments) return std::unexpected(segments.error());
  Target target{std::move(*segments), {}};
  if (auto parsed = parse_query(text.substr(std::min(mark + 1, text.size())), target); !parsed) {
    return std::unexpected(parsed.error());
  }
  return target;
}

std::string_view path_of(std::string_view target) {
  const auto text = without_authority(target);
  return text.substr(0, text.find('?'));
}

std::string percent_encode(std::string_view text) {
  std::string encoded;
  for (const char c : text) {
    encoded += is_unreserved(c) ? std::string(1, c)
                                : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return encoded;
}

}  // namespace ferry::http
