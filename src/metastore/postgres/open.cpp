#include "metastore/postgres/open.h"

#include "metastore/postgres/location.h"
#include "metastore/postgres/postgres_metastore.h"
#include "metastore/postgres/schema.h"

namespace ferry::metastore::postgres {
namespace {

Result<std::unique_ptr<Metastore>> open_as(const std::string& location, Options options,
                                           PostgresMetastore::Access access) {
  if (auto checked = check_database_location(location); !checked) return checked.error();
  auto store = std::make_unique<PostgresMetastore>(location, std::move(options), access);
  if (auto opened = store->open(); !opened) return opened.error();
  return store;
}

}  // namespace

Result<std::unique_ptr<Metastore>> open(const std::string& location, Options options) {
  return open_as(location, std::move(options), PostgresMetastore::Access::kWrite);
}

Result<std::unique_ptr<Metastore>> open_for_reading(const std::string& location, Options options) {
  return open_as(location, std::move(options), PostgresMetastore::Access::kRead);
}

Result<Upgrade> upgrade(const std::string& location, const Options& options) {
  if (auto checked = check_database_location(location); !checked) return checked.error();
  Database database(location, options.lock_timeout);
  const auto before = schema_version(database);
  if (!before) return before.error();
  if (auto upgraded = upgrade_schema(database); !upgraded) return upgraded.error();
  return Upgrade{.before = *before, .after = kSchemaVersion};
}

}  // namespace ferry::metastore::postgres
