// The texts of --help, made from the tables.
#pragma once

#include <string>

#include "app/commands/command.h"

namespace ferry::app {

std::string program_help();
/// ALL: rare options, too.
std::string command_help(const Command& command, bool all);

}  // namespace ferry::app
