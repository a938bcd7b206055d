// The schema in the database (schema.sql), and its versions.
#pragma once

#include "metastore/postgres/database.h"

namespace ferry::metastore::postgres {

/// What this program reads and writes.
inline constexpr int kSchemaVersion = 1;

/// What the database has: 0 is none.
Result<int> schema_version(Database& database);

/// Brings the database to kSchemaVersion, from whichever it has. Several may try at once. kCorrupt:
/// it has a newer one.
Result<void> upgrade_schema(Database& database);

/// kNotFound: there is none; kCorrupt: this program cannot use what is there.
Result<void> check_schema(Database& database);

}  // namespace ferry::metastore::postgres
