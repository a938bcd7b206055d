// Where every file stands with every destination: what status and list show.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/config/settings.h"
#include "ferry/metastore/metastore.h"
#include "ferry/transfer/routes.h"

namespace ferry::app {

/// One file and one destination. Views live as long as the visit.
struct StandingRow {
  const metastore::FileRecord& file;
  std::string_view destination;                   // empty: none is known
  const metastore::Delivery* delivery = nullptr;  // null: never tried
  metastore::Standing standing = metastore::Standing::kPending;
  bool given_up = false;    // failed, and no run tries it again by itself
  bool in_no_area = false;  // unrouted, because its row names no landing area
};

using StandingVisitor = std::function<void(const StandingRow&)>;

/// What to show: a row for each file and each of the destinations that wants it or has got it;
/// if none is named, for each destination that the file's logs name, or one row without a
/// destination where they name none.
struct StandingQuery {
  std::vector<std::string> destinations;
  /// Null: every destination wants every file.
  std::shared_ptr<const transfer::Routes> routes;
  /// Also a row without a destination, kUnrouted, for each file that nobody wants or has got.
  bool with_unrouted = false;
  std::int64_t max_attempts = metastore::kAskedFor;
  /// Of several landing areas a file is in the one that its row names, and else in none.
  bool has_several_areas = false;
  /// Which files; a row is shown for each destination of a file that is.
  metastore::FileQuery files;
};

/// For status and list: the configured destinations, or ONLY.
StandingQuery standing_query(const Settings& settings, const std::optional<std::string>& only);

/// kInvalid, with a suggestion, if neither the configuration nor the log knows DESTINATION.
Result<void> check_destination(metastore::Metastore& metastore, const Settings& settings,
                               const std::optional<std::string>& destination);

Result<void> visit_standings(metastore::Metastore& metastore, const StandingQuery& query,
                             const StandingVisitor& visitor);

/// Whether anything fits QUERY.
Result<bool> has_any(metastore::Metastore& metastore, metastore::FileQuery query);

/// Pending files of landing areas that SETTINGS does not have: of another host's, or renamed.
Result<std::uint64_t> count_in_unknown_areas(metastore::Metastore& metastore,
                                             const Settings& settings);

/// How many files that were updated then wait for a destination, and are in none of several landing
/// areas.
Result<std::uint64_t> count_in_no_area(metastore::Metastore& metastore, const Settings& settings,
                                       const TimeRange& updated);

/// Why the row is not delivered, for a person; may be empty.
std::string reason_of(const StandingRow& row);

/// What to do about files that were given up.
inline constexpr std::string_view kAboutGivenUp =
    "'ferry list --status given_up' says why, 'ferry retry' releases them";

}  // namespace ferry::app
