// How things stand, as notifications tell of them.
#pragma once

#include <optional>
#include <vector>

#include "app/config/settings.h"
#include "app/report/notification.h"
#include "ferry/landing/quarantine.h"
#include "ferry/metastore/metastore.h"

namespace ferry::app {

/// Costs what there is of failures, of quarantined files and of kept control files.
Result<Situation> look_at_situation(metastore::Metastore& metastore, const Settings& settings,
                                    Timestamp time);

/// What is in quarantine, in the landing areas here, and not in the registry: links, bad names.
/// Nothing: there are no areas here, or they are somebody else's and not to be read.
std::optional<std::vector<landing::HeldFile>> held_unregistered(metastore::Metastore& metastore,
                                                                const Settings& settings);

}  // namespace ferry::app
