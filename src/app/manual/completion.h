// Completion of ferry's command lines in shells.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::app {

/// What makes a shell ask `ferry complete`: bash(1), Programmable Completion; zshcompsys(1); fish's
/// complete(1).
struct CompletionScript {
  std::string_view shell;
  std::string_view text;
};
std::span<const CompletionScript> completion_scripts();

/// What may stand in place of the last of WORDS, which follow the program's name: a line for each,
/// with a tab and what it is, where that helps. "/file" and "/directory" stand for those: no name
/// has a '/' in it.
std::string completions(const std::vector<std::string>& words);

}  // namespace ferry::app
