// What becomes of sources that all destinations have: a route may archive or delete them.
#pragma once

#include <cstdint>
#include <string>

#include "ferry/base/file.h"
#include "ferry/base/result.h"
#include "ferry/base/stop.h"
#include "ferry/metastore/metastore.h"
#include "ferry/transfer/landing_places.h"
#include "ferry/transfer/routes.h"

namespace ferry::transfer {

struct SourcesTaken {
  std::uint64_t archived = 0;
  std::uint64_t deleted = 0;
  std::uint64_t failed = 0;  // logged; the next run tries again
  // Of the first that failed; no path if a whole server does not answer.
  std::string failed_path{};
  std::string failure{};
};

struct TakeSourcesOptions {
  LandingPlaces landings;  // files of other areas are left alone
  /// Where it notes what it is about to do: a directory of its own, the same for all runs.
  fs::path intents;
};

/// Carries out Route::after for every ready file that all destinations which want it have, and
/// tells the registry that it is missing now, and why. Only the version that was delivered is
/// touched: a file that is another one by now, or is replaced at this very moment, stays. What a
/// process that died, or an error, left half-way is finished first. An archive is on the landing
/// area's own host, and keeps paths; of two versions of a path the later one gets its id added to
/// its name. A server that does not answer is logged.
/// Files of areas that are not there are left alone. Errors: the metastore's, and kIo for the
/// notes.
Result<SourcesTaken> take_sources_away(metastore::Metastore& metastore, const Routes& routes,
                                       const TakeSourcesOptions& options, StopToken& stop);

}  // namespace ferry::transfer
