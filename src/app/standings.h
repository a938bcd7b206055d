// Where every file stands with every destination: what status and list show.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ferry/metastore/metastore.h"

namespace ferry::app {

/// One file and one destination. Views live as long as the visit.
struct StandingRow {
  const metastore::FileRecord& file;
  std::string_view destination;                   // empty: none is known
  const metastore::Delivery* delivery = nullptr;  // null: never tried
  metastore::Standing standing = metastore::Standing::kPending;
};

using StandingVisitor = std::function<void(const StandingRow&)>;

/// Shows a row for each file and each of DESTINATIONS; where there are none, for each destination
/// that the file's logs name, or one row without a destination where they name none.
Result<void> visit_standings(metastore::Metastore& metastore,
                             const std::vector<std::string>& destinations,
                             const StandingVisitor& visitor);

/// Why the row is not delivered, for a person; may be empty.
std::string_view reason_of(const StandingRow& row);

}  // namespace ferry::app
