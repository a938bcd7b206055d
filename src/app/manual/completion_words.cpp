#include "app/manual/completion_words.h"

#include <algorithm>

#include "app/arguments.h"

namespace ferry::app {
namespace {

constexpr std::string_view kActionCharacters = "abcdefghijklmnopqrstuvwxyz-|";

ValueSource source_for(std::string_view metavar) {
  if (metavar == "FILE") return ValueSource::kFiles;
  if (metavar == "DIR") return ValueSource::kDirectories;
  return ValueSource::kNone;
}

OptionWord word_for(const Flag& flag) {
  OptionWord word{.flag = flag.name, .metavar = flag.metavar, .help = flag.help};
  word.choices.assign(flag.choices.begin(), flag.choices.end());
  word.source = word.choices.empty() ? source_for(flag.metavar) : ValueSource::kChoices;
  if (flag.name == "destination") word.source = ValueSource::kDestinations;
  return word;
}

ValueSource source_for(const Option& option) {
  if (!option.choices.empty()) return ValueSource::kChoices;
  if (option.selects) {
    return option.section == Section::kLanding ? ValueSource::kLandings
                                               : ValueSource::kDestinations;
  }
  const bool is_remote = option.type == "string";
  return is_remote ? ValueSource::kNone : source_for(option.metavar);
}

OptionWord word_for(const Option& option) {
  return {.flag = option.flag,
          .metavar = option.metavar,
          .help = option.help,
          .repeatable = option.repeatable,
          .source = source_for(option),
          .choices = option.choices};
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(separator, begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

}  // namespace

std::vector<OptionWord> global_words() {
  std::vector<OptionWord> words;
  for (const Option& option : options()) {
    if (option.commands == kEveryCommand) words.push_back(word_for(option));
  }
  for (const Flag& flag : kGlobalFlags) words.push_back(word_for(flag));
  return words;
}

std::vector<OptionWord> words_of(const Command& command) {
  std::vector<OptionWord> words;
  words.reserve(command.flags.size());
  for (const Flag& flag : command.flags) words.push_back(word_for(flag));
  for (const Option& option : options()) {
    if (option.commands != kEveryCommand && takes(command, option)) {
      words.push_back(word_for(option));
    }
  }
  return words;
}

PositionalWords positional_words(const Command& command) {
  const std::string_view first = command.positional.substr(0, command.positional.find(' '));
  if (first.contains("FILE")) return {ValueSource::kFiles, {}};
  const bool are_actions =
      !first.empty() && first.find_first_not_of(kActionCharacters) == first.npos;
  if (!are_actions) return {};
  return {ValueSource::kChoices, split(first, '|')};
}

}  // namespace ferry::app
