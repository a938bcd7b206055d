// Tells of rows that were appended, by LISTEN.
#pragma once

#include <memory>
#include <string>

#include "ferry/metastore/metastore.h"

namespace ferry::metastore::postgres {

/// CHANNEL: an identifier.
Result<std::unique_ptr<ChangeNotice>> listen(const std::string& location,
                                             const std::string& channel,
                                             std::chrono::milliseconds patience);

}  // namespace ferry::metastore::postgres
