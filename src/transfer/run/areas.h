// Landing areas in which an agent has something to do, and whether they can be read.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "ferry/base/result.h"
#include "transfer/deliver/session.h"
#include "transfer/run/feed.h"
#include "transfer/source/landing_roots.h"

namespace ferry::transfer {

struct Area {
  std::string name;
  Result<void> reached;  // of one on a server: once start_reaching's task has ended
};

/// Those in which FEED finds something. Errors: those of Feed::look_in.
Outcome<std::vector<Area>> find_areas(Feed& feed, const LandingRoots& roots,
                                      const TransferOptions& options);

using AreaOnServer = std::pair<const LandingRoot*, Area*>;

/// Those of AREAS, which must outlive the answer, that only their server can tell of.
std::vector<AreaOnServer> areas_on_servers(std::vector<Area>& areas, const LandingRoots& roots);

/// Spawns tasks on SESSION's loop that connect to them, as its sources.
void start_reaching(const std::vector<AreaOnServer>& areas, Session& session);

}  // namespace ferry::transfer
