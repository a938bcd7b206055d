// Completion of ferry's command lines in shells.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::app {

/// What makes SHELL ask `ferry complete`: bash(1), Programmable Completion; zshcompsys(1);
/// fish's complete(1). Nothing for another shell.
std::optional<std::string_view> completion_script(std::string_view shell);

/// What may stand in place of the last of WORDS, which follow the program's name: a line for each,
/// with a tab and what it is, where that helps. "@file" and "@directory" stand for those.
std::string completions(const std::vector<std::string>& words);

}  // namespace ferry::app
