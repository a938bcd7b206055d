// From a command line to effective settings.
#pragma once

#include "app/commands/command.h"
#include "app/config/settings.h"

namespace ferry::app {

/// Command line over environment over file over default. Sets up the log.
Result<Settings> effective_settings(const Arguments& arguments);

/// What the command line says of landing areas, for one that nothing else says anything of.
Result<LandingSettings> landing_by_flags(const Arguments& arguments);

}  // namespace ferry::app
