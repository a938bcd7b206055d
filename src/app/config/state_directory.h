// Where this host keeps what is its own.
#pragma once

#include "app/config/settings.h"
#include "ferry/base/state_directory.h"

namespace ferry::app {

/// The metastore's directory. With a metastore in a database: what is configured, else the first of
/// $STATE_DIRECTORY, as systemd.exec(5) sets it; else /var/lib/ferry, if we may write there; else
/// ferry in $XDG_STATE_HOME, or in ~/.local/state.
StateDirectory state_directory(const Settings& settings);

}  // namespace ferry::app
