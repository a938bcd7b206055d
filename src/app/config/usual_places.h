// Where things are if nobody says it, and what the environment says.
#pragma once

#include <optional>
#include <string>

#include "app/commands/command.h"
#include "ferry/base/file.h"

namespace ferry::app {

/// Nothing for an empty value, too.
std::optional<std::string> environment(const char* name);

/// Empty if it has been removed.
fs::path working_directory();

/// WORD below the working directory, unless it is absolute. Nothing in it is resolved.
fs::path absolute_path(const std::string& word);

/// Where a user's configuration is (XDG Base Directory); empty: without a home nobody can tell.
fs::path own_configuration_file();

/// The configuration file that ARGUMENTS or FERRY_CONFIG name, else the user's own, else
/// /etc/ferry/ferry.toml, whichever is there; empty: none.
fs::path configuration_file(const Arguments& arguments);

/// Where programs keep what is a user's own and no configuration (XDG Base Directory): absolute;
/// empty: without a home nobody can tell.
std::string default_metastore();

}  // namespace ferry::app
