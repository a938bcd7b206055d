// Locations of metastores that are databases.
#pragma once

#include <string>
#include <string_view>

#include "ferry/base/result.h"

namespace ferry::metastore::postgres {

/// LOCATION is postgresql://… or postgres://…, as PostgreSQL 15's manual has it (34.1.1.2).
/// kInvalid if it has a password in it: everybody could see that in the list of processes.
Result<void> check_database_location(std::string_view location);

/// LOCATION as it may be shown: without passwords.
std::string shown_location(std::string_view location);

}  // namespace ferry::metastore::postgres
