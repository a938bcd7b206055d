// The texts of --help, made from the tables.
#pragma once

#include <string>

#include "app/command.h"

namespace ferry::app {

std::string program_help();
std::string command_help(const Command& command);

}  // namespace ferry::app
