// Opens metastores in PostgreSQL databases.
#pragma once

#include <memory>
#include <string>

#include "ferry/metastore/metastore.h"

namespace ferry::metastore::postgres {

/// As open_metastore and open_metastore_for_reading.
Result<std::unique_ptr<Metastore>> open(const std::string& location, Options options);
Result<std::unique_ptr<Metastore>> open_for_reading(const std::string& location, Options options);

Result<Upgrade> upgrade(const std::string& location, const Options& options);

}  // namespace ferry::metastore::postgres
