#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <set>

#include "app/manual/completion.h"
#include "app/manual/completion_words.h"

namespace ferry::app {
namespace {

constexpr std::string_view kHead = R"sh(# bash completion for ferry, made by `ferry completion bash`

_ferry_names() {
  "$program" config show ${config:+--config "$config"} 2> /dev/null |
    sed -n "s/^\[$1\.\([A-Za-z0-9_-]*\)\]\$/\1/p"
}

_ferry_words() {
  mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -W "$1" -- "$cur")
}

_ferry_files() {
  compopt -o filenames 2> /dev/null
  mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen "$1" -- "$cur")
}

_ferry() {
  local program=${COMP_WORDS[0]} cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
  if [[ $cur == "=" ]]; then
    cur=""
  elif [[ $prev == "=" ]]; then
    prev=${COMP_WORDS[COMP_CWORD - 2]}
  fi

  local command="" config="" option="" positional=0 i
  for ((i = 1; i < COMP_CWORD; i++)); do
    if [[ -n $option ]]; then
      [[ ${COMP_WORDS[i]} == "=" ]] && continue
      [[ $option == --config ]] && config=${COMP_WORDS[i]}
      option=""
      continue
    fi
    case ${COMP_WORDS[i]} in
)sh";

constexpr std::string_view kMiddle = R"sh( option=${COMP_WORDS[i]} ;;
      -*) ;;
      *) if [[ -z $command ]]; then command=${COMP_WORDS[i]}; else ((++positional)); fi ;;
    esac
  done

  COMPREPLY=()
  if [[ -n $option ]]; then
    case "$command $prev" in
)sh";

constexpr std::string_view kTail = R"sh(    esac
  fi
}

complete -F _ferry ferry
)sh";

std::string action_for(ValueSource source, const std::vector<std::string_view>& choices) {
  switch (source) {
    case ValueSource::kNone:
      return "";
    case ValueSource::kChoices:
      return fmt::format("_ferry_words '{}'", fmt::join(choices, " "));
    case ValueSource::kFiles:
      return "_ferry_files -f";
    case ValueSource::kDirectories:
      return "_ferry_files -d";
    case ValueSource::kLandings:
      return "_ferry_words \"$(_ferry_names landing)\"; _ferry_files -d";
    case ValueSource::kDestinations:
      return "_ferry_words \"$(_ferry_names destination)\"";
  }
  return "";
}

/// COMMAND: empty for an option of all.
std::string value_cases(std::string_view command, const std::vector<OptionWord>& words) {
  std::string out;
  for (const OptionWord& word : words) {
    const std::string action = action_for(word.source, word.choices);
    if (action.empty()) continue;
    out += command.empty() ? fmt::format("      *' --{}') {} ;;\n", word.flag, action)
                           : fmt::format("      '{} --{}') {} ;;\n", command, word.flag, action);
  }
  return out;
}

/// Offers OPTIONS once a dash is typed, else what OTHERWISE does; without that, the options.
std::string offer(const std::string& options, const std::string& otherwise) {
  std::string words = fmt::format("_ferry_words '{}'", options);
  if (otherwise.empty()) return words;
  return fmt::format("if [[ $cur == -* ]]; then {}; else {}; fi", words, otherwise);
}

std::string flags(const std::vector<OptionWord>& words) {
  std::vector<std::string> flags;
  flags.reserve(words.size());
  for (const OptionWord& word : words) flags.push_back(fmt::format("--{}", word.flag));
  return fmt::format("{}", fmt::join(flags, " "));
}

/// A pattern for all options that a value follows.
std::string value_pattern() {
  std::set<std::string> patterns;
  const auto add = [&](const std::vector<OptionWord>& words) {
    for (const OptionWord& word : words) {
      if (!word.metavar.empty()) patterns.insert(fmt::format("--{}", word.flag));
    }
  };
  add(global_words());
  for (const Command& command : commands()) add(words_of(command));
  return fmt::format("      {})", fmt::join(patterns, " | "));
}

/// What completes an argument of COMMAND that is not an option; empty: nothing.
std::string positional_action(const Command& command) {
  const PositionalWords positional = positional_words(command);
  std::string action = action_for(positional.source, positional.choices);
  if (positional.source != ValueSource::kChoices) return action;
  return fmt::format("((positional > 0)) || {}", action);
}

std::string command_case(const Command& command) {
  std::vector<OptionWord> words = words_of(command);
  std::ranges::copy(global_words(), std::back_inserter(words));
  return fmt::format("      {}) {} ;;\n", command.name,
                     offer(flags(words), positional_action(command)));
}

}  // namespace

std::string bash_completion() {
  std::string out(kHead);
  out += value_pattern();
  out += kMiddle;
  out += value_cases("", global_words());
  for (const Command& command : commands()) out += value_cases(command.name, words_of(command));
  out += "    esac\n  else\n    case $command in\n";
  std::vector<std::string_view> names;
  for (const Command& command : commands()) names.push_back(command.name);
  const std::string name_words = fmt::format("_ferry_words '{}", fmt::join(names, " "));
  out += fmt::format("      '') {} ;;\n", offer(flags(global_words()), name_words + " help'"));
  out += fmt::format("      help) {}' ;;\n", name_words);
  for (const Command& command : commands()) out += command_case(command);
  out += kTail;
  return out;
}

}  // namespace ferry::app
