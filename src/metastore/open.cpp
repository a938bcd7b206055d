// Which store a location means.
#include <cctype>

#include "ferry/metastore/metastore.h"
#include "metastore/jsonl/jsonl_metastore.h"
#include "metastore/jsonl/tables/format.h"
#ifdef FERRY_POSTGRESQL
#include "metastore/postgres/location.h"
#include "metastore/postgres/open.h"
#endif

namespace ferry::metastore {
namespace {

using Opened = Result<std::unique_ptr<Metastore>>;

std::string_view scheme_of(std::string_view location) {
  const auto end = location.find("://");
  return end == std::string_view::npos ? std::string_view() : location.substr(0, end);
}

/// As in what libpq calls a connection string, which would be taken for a directory.
bool has_password(std::string_view location) {
  std::string text;
  for (const unsigned char c : location) {
    if (c != ' ') text += static_cast<char>(std::tolower(c));
  }
  return text.contains("password=") || text.contains("passwd=");
}

bool is_postgresql(std::string_view scheme) {
  return scheme == "postgresql" || scheme == "postgres";
}

/// Nothing but the scheme is shown: a location may have a password in it.
Error unknown_scheme(std::string_view scheme) {
  if (is_postgresql(scheme)) {
    return make_error(ErrorKind::kInvalid, "{}://…: this ferry was built without PostgreSQL",
                      scheme);
  }
  return make_error(ErrorKind::kInvalid, "{}://…: a metastore is a directory, or postgresql://…",
                    scheme);
}

}  // namespace

Opened open_metastore(const std::string& location, Options options) {
  const std::string_view scheme = scheme_of(location);
  if (scheme.empty()) return open_jsonl(location, std::move(options));
#ifdef FERRY_POSTGRESQL
  if (is_postgresql(scheme)) return postgres::open(location, std::move(options));
#endif
  return unknown_scheme(scheme);
}

Opened open_metastore_for_reading(const std::string& location, Options options) {
  const std::string_view scheme = scheme_of(location);
  if (scheme.empty()) return open_jsonl_for_reading(location, std::move(options));
#ifdef FERRY_POSTGRESQL
  if (is_postgresql(scheme)) return postgres::open_for_reading(location, std::move(options));
#endif
  return unknown_scheme(scheme);
}

Result<void> check_location(const std::string& location) {
  const std::string_view scheme = scheme_of(location);
  if (!is_postgresql(scheme) && has_password(location)) {
    return make_error(ErrorKind::kInvalid,
                      "a metastore is a directory, or postgresql://user@host/database: a password "
                      "belongs into ~/.pgpass (or PGPASSFILE)");
  }
  if (scheme.empty()) return {};
#ifdef FERRY_POSTGRESQL
  if (is_postgresql(scheme)) return postgres::check_database_location(location);
#endif
  return unknown_scheme(scheme);
}

/// There is one format of the tables so far: opening says whether it is that.
Result<Upgrade> upgrade_metastore(const std::string& location, Options options) {
  const std::string_view scheme = scheme_of(location);
  if (scheme.empty()) {
    const auto opened = open_jsonl(location, std::move(options));
    if (!opened) return opened.error();
    return Upgrade{.before = kFormatVersion, .after = kFormatVersion};
  }
#ifdef FERRY_POSTGRESQL
  if (is_postgresql(scheme)) return postgres::upgrade(location, options);
#endif
  return unknown_scheme(scheme);
}

}  // namespace ferry::metastore
