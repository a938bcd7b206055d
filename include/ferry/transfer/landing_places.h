// Where the landing areas of a run lie.
#pragma once

#include <map>
#include <string>
#include <variant>

#include "ferry/base/file.h"
#include "ferry/sftp/connect.h"

namespace ferry::transfer {

/// A directory of this host, or one on a server.
using LandingPlace = std::variant<fs::path, sftp::Location>;

/// By all that the registry's `landing` column may call them: an area may have several names.
using LandingPlaces = std::map<std::string, LandingPlace>;

}  // namespace ferry::transfer
