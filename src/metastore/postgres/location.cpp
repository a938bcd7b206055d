#include "metastore/postgres/location.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace ferry::metastore::postgres {
namespace {

constexpr std::string_view kSchemes[] = {"postgresql://", "postgres://"};

/// Where the part behind the scheme begins.
std::size_t end_of_scheme(std::string_view location) {
  for (const std::string_view scheme : kSchemes) {
    if (location.starts_with(scheme)) return scheme.size();
  }
  return 0;
}

bool names_secret(std::string_view parameter) {
  std::string name(parameter.substr(0, parameter.find('=')));
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
  if (name == "passfile") return false;
  // libpq takes percent-encoded names, too: nobody writes them so who means well. What it does not
  // know it repeats.
  return std::ranges::any_of(std::array{"pass", "pwd", "secret", "%"},
                             [&](const char* part) { return name.contains(part); });
}

}  // namespace

std::string shown_location(std::string_view location) {
  std::string shown(location.substr(0, end_of_scheme(location)));
  std::string_view rest = location.substr(shown.size());
  // Whatever may be a password is taken for one, also where libpq would not understand it.
  const auto colon = rest.find(':');
  const auto at = rest.rfind('@');
  if (colon != std::string_view::npos && at != std::string_view::npos && colon < at) {
    shown += rest.substr(0, colon);
    rest.remove_prefix(at);
  }
  const auto question = std::min(rest.find('?'), rest.size());
  shown += rest.substr(0, question);
  rest.remove_prefix(question);
  char separator = '?';
  while (!rest.empty()) {
    rest.remove_prefix(1);
    const auto end = std::min(rest.find('&'), rest.size());
    const auto parameter = rest.substr(0, end);
    rest.remove_prefix(end);
    if (names_secret(parameter)) continue;
    shown += separator;
    shown += parameter;
    separator = '&';
  }
  return shown;
}

Result<void> check_database_location(std::string_view location) {
  const std::string shown = shown_location(location);
  if (shown == location) return {};
  return make_error(ErrorKind::kInvalid,
                    "{}: take the password out of the metastore's location, where others can see "
                    "it, and put it into ~/.pgpass (or PGPASSFILE)",
                    shown);
}

}  // namespace ferry::metastore::postgres
