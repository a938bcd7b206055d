// Command lines.
#pragma once

#include <string>
#include <vector>

#include "app/commands/command.h"
#include "ferry/base/result.h"

namespace ferry::app {

inline constexpr Flag kGlobalFlags[] = {
    {"config", "FILE", "configuration file (FERRY_CONFIG)"},
    {"version", "", "print the version and exit"},
    {"help", "", "print this and exit"},
};

/// The command's name, and all words but it. Global options may come before the name.
struct SplitLine {
  std::string command;  // empty: there is none
  std::vector<std::string> rest;
};
Result<SplitLine> split_line(const std::vector<std::string>& words);

/// True if COMMAND takes OPTION on its command line.
bool takes(const Command& command, const Option& option);

/// The words after a command's name, or global options alone where COMMAND is null. kInvalid for
/// what it does not know, with a suggestion.
Result<Arguments> parse_arguments(const Command* command, const std::vector<std::string>& words);

}  // namespace ferry::app
