#include <fmt/format.h>
#include <fmt/ranges.h>

#include "app/manual/completion.h"
#include "app/manual/completion_words.h"

namespace ferry::app {
namespace {

constexpr std::string_view kHead = R"sh(#compdef ferry
# zsh completion for ferry, made by `ferry completion zsh`

_ferry_names() {
  local section=$1
  shift
  local -a names
  names=(${(f)"$(_call_program names ${(q)program} config show ${config:+--config ${(q)config}} \
    2> /dev/null | sed -n "s/^\[$section\.\([A-Za-z0-9_-]*\)\]\$/\1/p")"})
  compadd "$@" -a names
}

_ferry_landings() {
  local ret=1
  _ferry_names landing "$@" && ret=0
  _files -/ && ret=0
  return ret
}

_ferry_destinations() {
  _ferry_names destination "$@"
}

_ferry() {
  local curcontext=$curcontext program=$words[1] config="" state line ret=1
  typeset -A opt_args
  local -a global commands
)sh";

constexpr std::string_view kMiddle =
    R"sh(  _arguments -C $global '1: :->command' '*:: :->argument' && ret=0
  config=${opt_args[--config]}
  case $state in
    command) _describe -t commands command commands && ret=0 ;;
    argument)
      case $line[1] in
        help) _describe -t commands command commands && ret=0 ;;
)sh";

constexpr std::string_view kTail = R"sh(      esac
      ;;
  esac
  return ret
}

_ferry "$@"
)sh";

/// TEXT inside '…', where _arguments and _describe take some characters for their own.
std::string escaped(std::string_view text) {
  std::string out;
  for (const char letter : text) {
    if (letter == '\'') {
      out += "'\\''";
      continue;
    }
    if (letter == '[' || letter == ']' || letter == ':' || letter == '\\') out.push_back('\\');
    out.push_back(letter);
  }
  return out;
}

std::string action_for(ValueSource source, const std::vector<std::string_view>& choices) {
  switch (source) {
    case ValueSource::kNone:
      return " ";
    case ValueSource::kChoices:
      return fmt::format("({})", fmt::join(choices, " "));
    case ValueSource::kFiles:
      return "_files";
    case ValueSource::kDirectories:
      return "_files -/";
    case ValueSource::kLandings:
      return "_ferry_landings";
    case ValueSource::kDestinations:
      return "_ferry_destinations";
  }
  return " ";
}

std::string spec(const OptionWord& word) {
  const std::string_view star = word.repeatable ? "*" : "";
  if (word.metavar.empty()) {
    return fmt::format("'{}--{}[{}]'", star, word.flag, escaped(word.help));
  }
  return fmt::format("'{}--{}=[{}]:{}:{}'", star, word.flag, escaped(word.help),
                     escaped(word.metavar), action_for(word.source, word.choices));
}

std::string positional_spec(const Command& command) {
  const PositionalWords positional = positional_words(command);
  if (positional.source == ValueSource::kNone) return "";
  const std::string_view which = positional.source == ValueSource::kChoices ? "1" : "*";
  return fmt::format(" \\\n            '{}:{}:{}'", which, escaped(command.positional),
                     action_for(positional.source, positional.choices));
}

std::string command_case(const Command& command) {
  std::string out = fmt::format("        {})\n          _arguments $global", command.name);
  for (const OptionWord& word : words_of(command)) {
    out += fmt::format(" \\\n            {}", spec(word));
  }
  return out + positional_spec(command) + " && ret=0\n          ;;\n";
}

}  // namespace

std::string zsh_completion() {
  std::string out(kHead);
  out += "  global=(\n";
  for (const OptionWord& word : global_words()) out += fmt::format("    {}\n", spec(word));
  out += "  )\n  commands=(\n";
  for (const Command& command : commands()) {
    out += fmt::format("    '{}:{}'\n", command.name, escaped(command.summary));
  }
  out += "    'help:tell about a command'\n  )\n";
  out += kMiddle;
  for (const Command& command : commands()) out += command_case(command);
  out += kTail;
  return out;
}

}  // namespace ferry::app
