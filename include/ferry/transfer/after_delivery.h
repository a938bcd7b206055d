// What becomes of sources that all destinations have: a route may archive or delete them.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "ferry/base/file.h"
#include "ferry/base/result.h"
#include "ferry/base/stop.h"
#include "ferry/metastore/metastore.h"
#include "ferry/sftp/connect.h"
#include "ferry/transfer/routes.h"

namespace ferry::transfer {

struct Settled {
  std::uint64_t archived = 0;
  std::uint64_t deleted = 0;
  std::uint64_t failed = 0;  // logged; the next run tries again
};

/// Carries out Route::after for every ready file that all destinations which want it have, and
/// tells the registry that it is missing now, and why. Only the version that was delivered is
/// touched: a file that is another one by now, or is replaced at this very moment, stays.
/// LANDINGS, REMOTE_LANDINGS: by the registry's `landing` column; files of other areas are left
/// alone. An archive is on the landing area's own host, and keeps paths; of two versions of a path
/// the later one gets its id added to its name. A server that does not answer is logged.
/// Errors: the metastore's, and those of opening a landing area of this host.
Result<Settled> settle_sources(metastore::Metastore& metastore, const Routes& routes,
                               const std::map<std::string, fs::path>& landings,
                               const std::map<std::string, sftp::Location>& remote_landings,
                               StopToken& stop);

}  // namespace ferry::transfer
