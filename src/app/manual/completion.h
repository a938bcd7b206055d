// Completion of ferry's command lines in shells, made from the tables of commands and options.
#pragma once

#include <string>

namespace ferry::app {

/// A script to source in bash: bash(1), Programmable Completion.
std::string bash_completion();

/// A function file "_ferry" for zsh's fpath: zshcompsys(1).
std::string zsh_completion();

}  // namespace ferry::app
