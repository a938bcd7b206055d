#include <arpa/inet.h>

#include <charconv>

#include "ferry/http/service.h"

namespace ferry::http {

Result<Address> Address::parse(std::string_view text) {
  const auto colon = text.rfind(':');
  Address address;
  std::string_view host = text.substr(0, colon == text.npos ? 0 : colon);
  const std::string_view port = text.substr(colon == text.npos ? 0 : colon + 1);
  const char* end = port.data() + port.size();
  const auto [rest, error] = std::from_chars(port.data(), end, address.port);
  const bool is_bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (is_bracketed) host = host.substr(1, host.size() - 2);
  address.host = host.empty() ? "127.0.0.1" : std::string(host);
  in6_addr parsed{};
  const int family = is_bracketed ? AF_INET6 : AF_INET;
  if (error != std::errc{} || rest != end ||
      ::inet_pton(family, address.host.c_str(), &parsed) != 1) {
    return make_error(ErrorKind::kInvalid,
                      "'{}' is not an IP address with a port, such as 127.0.0.1:8022 or [::1]:8022",
                      text);
  }
  return address;
}

std::string Address::to_string() const {
  return host.find(':') != host.npos ? fmt::format("[{}]:{}", host, port)
                                     : fmt::format("{}:{}", host, port);
}

bool Address::is_loopback() const {
  return host == "::1" || host.starts_with("127.");
}

}  // namespace ferry::http
