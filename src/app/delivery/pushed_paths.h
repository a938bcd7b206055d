// What `ferry push` is given: paths of this host, and the landing areas that they lie in.
#pragma once

#include <string>
#include <vector>

#include "app/config/settings.h"
#include "ferry/base/result.h"
#include "ferry/metastore/metastore.h"

namespace ferry::app {

/// The landing areas of SETTINGS that PATHS lie in, with nothing of them but these. If SETTINGS has
/// none: the directories themselves, and of files the directories that they are in, each an area
/// like MODEL; nothing is moved aside there. Errors: kInvalid, kNotFound, kDenied for a path that
/// cannot be pushed.
Result<std::vector<LandingSettings>> areas_of_paths(const Settings& settings,
                                                    const LandingSettings& model,
                                                    const std::vector<std::string>& paths);

/// The registered files of AREAS that are there, of those with parts only these.
Result<void> visit_pushed(metastore::Metastore& metastore,
                          const std::vector<LandingSettings>& areas,
                          const metastore::Metastore::FileVisitor& visitor);

}  // namespace ferry::app
