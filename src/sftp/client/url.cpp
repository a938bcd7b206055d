#include <algorithm>
#include <charconv>
#include <optional>

#include "ferry/base/path.h"
#include "ferry/sftp/connect.h"

namespace ferry::sftp {
namespace {

constexpr std::string_view kScheme = "sftp://";
constexpr std::uint16_t kDefaultPort = 22;

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::optional<std::string> percent_decode(std::string_view text) {
  std::string result;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '%') {
      result += text[at];
      continue;
    }
    unsigned code = 0;
    const std::string_view digits = text.substr(at + 1, 2);
    const auto [end, failure] =
        std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
    if (digits.size() != 2 || failure != std::errc() || end != digits.data() + 2) return {};
    result += static_cast<char>(code);
    at += 2;
  }
  return result;
}

std::string percent_encode(std::string_view text, std::string_view also_plain) {
  constexpr std::string_view kUnreserved = "-._~";
  std::string result;
  for (const char c : text) {
    if (is_letter_or_digit(c) || kUnreserved.contains(c) || also_plain.contains(c)) {
      result += c;
    } else {
      result += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return result;
}

template <typename... Args>
Error invalid(fmt::format_string<Args...> format, Args&&... args) {
  return make_error(ErrorKind::kInvalid, format, std::forward<Args>(args)...);
}

// A leading '-' would be taken for an option by programs that get the name as an argument.
Result<std::string> decode_name(std::string_view raw, std::string_view what) {
  auto name = percent_decode(raw);
  if (!name) return invalid("sftp URL: the {} has a broken %-escape", what);
  if (name->empty()) return invalid("sftp URL: the {} is empty", what);
  if (name->front() == '-' || has_control_character(*name) || name->contains(' ')) {
    return invalid("sftp URL: '{}' cannot be a {}", raw, what);
  }
  return *name;
}

Result<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (failure != std::errc() || end != text.data() + text.size() || port == 0) {
    return invalid("sftp URL: the port must be a number from 1 to 65535");
  }
  return port;
}

Result<std::string> parse_user(std::string_view raw) {
  if (raw.contains(':')) {
    return invalid(
        "sftp URL: a password in a URL ends up in logs and process lists; leave it out and use a "
        "key or the password file option");
  }
  if (raw.contains(';')) {
    return invalid("sftp URL: connection parameters (';' after the user) are not supported");
  }
  return decode_name(raw, "user");
}

Result<void> parse_host_and_port(std::string_view text, Url& url) {
  std::string_view host = text;
  std::string_view rest;
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) return invalid("sftp URL: '[' without ']' in '{}'", text);
    host = text.substr(1, end - 1);
    rest = text.substr(end + 1);
    if (!host.contains(':')) return invalid("sftp URL: '{}' is not an IPv6 address", host);
  } else if (const std::size_t colon = text.find(':'); colon != std::string_view::npos) {
    host = text.substr(0, colon);
    rest = text.substr(colon);
  }
  auto name = decode_name(host, "host");
  if (!name) return name.error();
  if (name->find_first_of("/@[]") != std::string::npos) {
    return invalid("sftp URL: '{}' cannot be a host", host);
  }
  url.host = std::move(*name);
  if (rest.empty()) return {};
  if (!rest.starts_with(':')) return invalid("sftp URL: '{}' after the host", rest);
  if (rest.substr(1).contains(':')) {
    return invalid("sftp URL: put an IPv6 address in brackets: sftp://[{}]", text);
  }
  auto port = parse_port(rest.substr(1));
  if (!port) return port.error();
  url.port = *port;
  return {};
}

Result<std::string> parse_directory(std::string_view raw) {
  if (raw.empty()) return std::string(".");
  const bool relative = raw == "/~" || raw.starts_with("/~/");
  if (relative) raw.remove_prefix(std::min<std::size_t>(raw.size(), 3));
  auto directory = percent_decode(raw);
  if (!directory) return invalid("sftp URL: the directory has a broken %-escape: '{}'", raw);
  if (has_control_character(*directory)) {
    return invalid("sftp URL: the directory has a control character: '{}'", raw);
  }
  while (directory->size() > 1 && directory->ends_with('/')) directory->pop_back();
  if (!relative) return *directory;
  if (directory->starts_with('/')) return invalid("sftp URL: '//' after '~'");
  return directory->empty() ? "." : *directory;
}

}  // namespace

Result<Url> Url::parse(std::string_view text) {
  const bool is_sftp = text.size() >= kScheme.size() &&
                       std::ranges::equal(text.substr(0, kScheme.size()), kScheme, {}, lower);
  if (!is_sftp) {
    return invalid("sftp URL: expected sftp://[user@]host[:port][/directory]");
  }
  text.remove_prefix(kScheme.size());
  const std::size_t slash = std::min(text.find('/'), text.size());
  std::string_view authority = text.substr(0, slash);
  const std::string_view path = text.substr(slash);

  Url url;
  if (const std::size_t at = authority.rfind('@'); at != std::string_view::npos) {
    auto user = parse_user(authority.substr(0, at));
    if (!user) return user.error();
    url.user = std::move(*user);
    authority.remove_prefix(at + 1);
  }
  if (authority.find_first_of("?#") != std::string_view::npos ||
      path.find_first_of("?#") != std::string_view::npos) {
    return invalid("sftp URL: write '?' as %3F and '#' as %23");
  }
  if (auto parsed = parse_host_and_port(authority, url); !parsed) return parsed.error();
  auto directory = parse_directory(path);
  if (!directory) return directory.error();
  url.directory = std::move(*directory);
  return url;
}

std::string Url::to_string() const {
  std::string text(kScheme);
  if (!user.empty()) text += percent_encode(user, "") + "@";
  const bool is_ipv6 = host.contains(':');
  text += is_ipv6 ? "[" + percent_encode(host, ":") + "]" : percent_encode(host, "");
  if (port != kDefaultPort) text += fmt::format(":{}", port);
  if (directory == ".") return text;
  const std::string path = percent_encode(directory, "/");
  if (!directory.starts_with('/')) return text + "/~/" + path;
  return text + (path.starts_with("/~") ? "/%7E" + path.substr(2) : path);
}

}  // namespace ferry::sftp
