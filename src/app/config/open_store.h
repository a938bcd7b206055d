// Opens the metastore that the settings name.
#pragma once

#include <memory>
#include <string>

#include "app/commands/command.h"
#include "app/config/settings.h"
#include "ferry/metastore/metastore.h"

namespace ferry::app {

enum class Access {
  kRead,
  kWrite,   // one that is there; or in an empty directory, which somebody made for it
  kCreate,  // makes it if there is none
};
/// kNotFound, with a suggestion, if there is no metastore and ACCESS makes none.
Outcome<std::unique_ptr<metastore::Metastore>> open_store(const Settings& settings, Access access);

/// For those who register or deliver files: also kCorrupt if the registry was lost and the logs
/// were not. What still lies in the landing areas would be registered anew, and delivered twice.
Outcome<std::unique_ptr<metastore::Metastore>> open_store_to_work(const Settings& settings,
                                                                  Access access);

/// Brings the metastore's tables to this ferry's version; those in a database are made if there are
/// none.
Outcome<metastore::Upgrade> upgrade_store(const Settings& settings);

/// For messages: how to register what lies in the landing areas of ARGUMENTS.
std::string registering_command(const Arguments& arguments);

}  // namespace ferry::app
