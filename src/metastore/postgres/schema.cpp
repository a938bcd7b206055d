#include "metastore/postgres/schema.h"

#include "metastore/postgres/location.h"
#include "metastore/postgres/schema_sql.h"  // made from schema.sql

namespace ferry::metastore::postgres {
namespace {

/// Steps from the version that is their place to the next.
constexpr const char* kMigrations[] = {kSchemaSql};
static_assert(std::size(kMigrations) == kSchemaVersion);

/// "ferry", as an advisory lock.
constexpr const char* kLock = "SELECT pg_advisory_xact_lock(439804651110)";

Result<int> version_in(Connection& connection) {
  // From the table itself: what a session remembers of names may be older than a lock that it got.
  const auto there = connection.run(
      "SELECT EXISTS (SELECT FROM pg_class WHERE relname = 'metastore' AND relnamespace = (SELECT "
      "oid FROM pg_namespace WHERE nspname = current_schema()))");
  if (!there) return there.error();
  if (!there->flag(0, 0)) return 0;
  const auto version = connection.run("SELECT format_version FROM metastore");
  if (!version) return version.error();
  if (version->count() == 0) return 0;  // made after we began: its row is not seen yet
  return static_cast<int>(version->integer(0, 0));
}

Error newer(const Database& database, int version) {
  return make_error(ErrorKind::kCorrupt,
                    "metastore {}: its schema has version {}, and this ferry knows {}: use a newer "
                    "ferry",
                    shown_location(database.location()), version, kSchemaVersion);
}

Result<void> check_encoding(Connection& connection, const Database& database) {
  const auto encoding = connection.run("SELECT current_setting('server_encoding')");
  if (!encoding) return encoding.error();
  if (encoding->text(0, 0) == "UTF8") return {};
  return make_error(ErrorKind::kCorrupt,
                    "metastore {}: the database's encoding is {}: make one with UTF8",
                    shown_location(database.location()), encoding->text(0, 0));
}

Result<void> upgrade(Connection& connection, const Database& database) {
  if (auto fits = check_encoding(connection, database); !fits) return fits;
  if (auto locked = connection.command(kLock); !locked) return locked.error();
  const auto version = version_in(connection);
  if (!version) return version.error();
  if (*version > kSchemaVersion) return newer(database, *version);
  for (int step = *version; step < kSchemaVersion; ++step) {
    if (auto done = connection.command(kMigrations[step]); !done) {
      return done.error().with_context("its schema cannot be made");
    }
  }
  return {};
}

}  // namespace

Result<int> schema_version(Database& database) {
  return database.read([](Connection& connection) { return version_in(connection); });
}

Result<void> upgrade_schema(Database& database) {
  return database.write([&](Connection& connection) { return upgrade(connection, database); });
}

Result<void> check_schema(Database& database) {
  const auto version = schema_version(database);
  if (!version) return version.error();
  const std::string shown = shown_location(database.location());
  if (*version == 0) {
    return make_error(ErrorKind::kNotFound, "{} has no metastore: there is no table metastore",
                      shown);
  }
  if (*version > kSchemaVersion) return newer(database, *version);
  if (*version == kSchemaVersion) return {};
  return make_error(ErrorKind::kCorrupt,
                    "metastore {}: its schema has version {}, and this ferry needs {}: run ferry "
                    "metastore upgrade",
                    shown, *version, kSchemaVersion);
}

}  // namespace ferry::metastore::postgres
