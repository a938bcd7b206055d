#include <arpa/inet.h>
#include <sys/un.h>

#include <charconv>

#include "ferry/http/service.h"

namespace ferry::http {

namespace {

constexpr std::string_view kUnix = "unix:";

Result<Address> parse_socket(std::string_view path) {
  if (!path.starts_with('/') || path.size() >= sizeof(sockaddr_un{}.sun_path)) {
    return make_error(ErrorKind::kInvalid,
                      "'{}' is not the absolute path of a Unix socket, of at most {} bytes", path,
                      sizeof(sockaddr_un{}.sun_path) - 1);
  }
  return Address{.socket = std::string(path)};
}

}  // namespace

Result<Address> Address::parse(std::string_view text) {
  if (text.starts_with(kUnix)) return parse_socket(text.substr(kUnix.size()));
  const auto colon = text.rfind(':');
  Address address;
  std::string_view host = text.substr(0, colon == text.npos ? 0 : colon);
  const std::string_view port = text.substr(colon == text.npos ? 0 : colon + 1);
  const char* const begin = port.data();
  const char* const end = begin + port.size();
  const auto [rest, error] = std::from_chars(begin, end, address.port);
  const bool is_bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (is_bracketed) host = host.substr(1, host.size() - 2);
  address.host = host.empty() ? "127.0.0.1" : std::string(host);
  in6_addr parsed{};
  const int family = is_bracketed ? AF_INET6 : AF_INET;
  if (error != std::errc{} || rest != end ||
      ::inet_pton(family, address.host.c_str(), &parsed) != 1) {
    return make_error(ErrorKind::kInvalid,
                      "'{}' is neither an IP address with a port, such as 127.0.0.1:8022 or "
                      "[::1]:8022, nor a Unix socket, such as unix:/run/ferry/http.sock",
                      text);
  }
  return address;
}

std::string Address::to_string() const {
  if (!socket.empty()) return std::string(kUnix) + socket.string();
  return host.find(':') != host.npos ? fmt::format("[{}]:{}", host, port)
                                     : fmt::format("{}:{}", host, port);
}

bool Address::is_local() const {
  return !socket.empty() || host == "::1" || host.starts_with("127.");
}

}  // namespace ferry::http
