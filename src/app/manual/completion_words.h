// What may stand in a command line, as a shell has to know it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "app/commands/command.h"

namespace ferry::app {

/// Where a shell finds the words that a value may be.
enum class ValueSource : std::uint8_t {
  kNone,  // a switch, or text that nobody can guess
  kChoices,
  kFiles,
  kDirectories,
  kLandings,  // names in the configuration file, and directories
  kDestinations,
};

struct OptionWord {
  std::string_view flag;
  std::string_view metavar;  // empty: a switch
  std::string_view help;
  bool repeatable = false;
  ValueSource source = ValueSource::kNone;
  std::vector<std::string_view> choices = {};
};

/// The options that every command takes.
std::vector<OptionWord> global_words();
/// The options that COMMAND takes besides.
std::vector<OptionWord> words_of(const Command& command);

struct PositionalWords {
  ValueSource source = ValueSource::kNone;
  std::vector<std::string_view> choices;
};
/// From how usage shows it: "show|check" are choices, "FILE" and the like a file.
PositionalWords positional_words(const Command& command);

}  // namespace ferry::app
