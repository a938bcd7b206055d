#include "app/arguments.h"

#include <algorithm>
#include <boost/program_options.hpp>

#include "app/config/text.h"

namespace ferry::app {
namespace {

namespace po = boost::program_options;

constexpr const char* kPositional = " positional";

bool is_global(const Option& option) {
  return option.commands == kEveryCommand;
}

/// Everything that may follow COMMAND.
std::vector<Flag> known_flags(const Command* command) {
  std::vector<Flag> flags(std::begin(kGlobalFlags), std::end(kGlobalFlags));
  if (command != nullptr) {
    flags.insert(flags.end(), command->flags.begin(), command->flags.end());
  }
  for (const Option& option : options()) {
    if (command == nullptr ? is_global(option) : takes(*command, option)) {
      flags.push_back({option.flag, option.metavar, option.help});
    }
  }
  return flags;
}

po::options_description describe(const std::vector<Flag>& flags) {
  po::options_description description;
  for (const Flag& flag : flags) {
    const std::string name(flag.name);
    if (flag.metavar.empty()) {
      description.add_options()(name.c_str(), "");
    } else {
      description.add_options()(name.c_str(), po::value<std::vector<std::string>>(), "");
    }
  }
  description.add_options()(kPositional, po::value<std::vector<std::string>>(), "");
  return description;
}

std::string plain_name(std::string name) {
  name.erase(0, name.find_first_not_of('-'));
  return name.substr(0, name.find('='));
}

Error unknown_option(const std::string& name, const std::vector<Flag>& flags) {
  std::vector<std::string_view> names;
  names.reserve(flags.size());
  for (const Flag& flag : flags) names.push_back(flag.name);
  return make_error(ErrorKind::kInvalid, "unknown option '{}'{}", name,
                    suggestion(plain_name(name), names, "--"));
}

/// What other programs call like this.
constexpr std::pair<std::string_view, std::string_view> kUsualShortNames[] = {
    {"-n", "dry-run"}, {"-j", "json"},      {"-c", "config"},   {"-f", "follow"},
    {"-V", "version"}, {"-v", "log-level"}, {"-q", "log-level"}};

Error short_option(const std::string& word, const std::vector<Flag>& flags, bool takes_command) {
  std::string hint = takes_command ? fmt::format(" (a file of this name is written './{}')", word)
                                   : " (a file of this name goes behind '--')";
  for (const auto& [name, flag] : kUsualShortNames) {
    if (name != word || std::ranges::find(flags, flag, &Flag::name) == flags.end()) continue;
    const std::string_view value = name == "-v" ? " debug" : name == "-q" ? " error" : "";
    hint = fmt::format("; did you mean '--{}{}'?", flag, value);
  }
  return make_error(ErrorKind::kInvalid, "unknown option '{}'{}", word, hint);
}

/// Options have long names, but for -h: a word such as "-n" is a mistake, and not a file's name.
Result<void> refuse_short_options(const std::vector<Flag>& flags,
                                  const std::vector<std::string>& words, bool takes_command) {
  for (auto word = words.begin(); word != words.end() && *word != "--"; ++word) {
    if (!word->starts_with("-") || *word == "-") continue;
    if (!word->starts_with("--")) return short_option(*word, flags, takes_command);
    const auto known = std::ranges::find(flags, plain_name(*word), &Flag::name);
    const bool value_follows =
        known != flags.end() && !known->metavar.empty() && word->find('=') == word->npos;
    if (value_follows && std::next(word) != words.end()) ++word;
  }
  return {};
}

Result<Arguments> parse_with_boost(const std::vector<Flag>& flags,
                                   const std::vector<std::string>& words) {
  namespace style = po::command_line_style;
  const po::options_description description = describe(flags);
  po::positional_options_description positional;
  positional.add(kPositional, -1);
  try {
    const po::parsed_options parsed =
        po::command_line_parser(words)
            .options(description)
            .positional(positional)
            .style(style::unix_style & ~style::allow_guessing & ~style::allow_short)
            .run();
    Arguments arguments;
    for (const po::option& option : parsed.options) {
      auto& values = option.string_key == kPositional ? arguments.positional
                                                      : arguments.flags[option.string_key];
      values.insert(values.end(), option.value.begin(), option.value.end());
    }
    return arguments;
  } catch (const po::unknown_option& error) {
    return unknown_option(error.get_option_name(), flags);
  } catch (const po::error& error) {
    return make_error(ErrorKind::kInvalid, "{}", error.what());
  }
}

Result<void> check_positional(const Command& command, const Arguments& arguments) {
  const std::size_t count = arguments.positional.size();
  if (arguments.has("help")) return {};
  if (count < command.min_positional) {
    return make_error(ErrorKind::kInvalid, "{} is missing", command.positional);
  }
  if (count > command.max_positional) {
    return make_error(ErrorKind::kInvalid, "unexpected argument '{}'",
                      arguments.positional[command.max_positional]);
  }
  return {};
}

}  // namespace

bool takes(const Command& command, const Option& option) {
  return (option.commands & command.bit) != 0;
}

Result<SplitLine> split_line(const std::vector<std::string>& words) {
  const std::vector<Flag> flags = known_flags(nullptr);
  SplitLine split;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "-h") {
      split.rest.emplace_back("--help");
      continue;
    }
    if (!word.starts_with("-")) {
      split.command = word;
      split.rest.insert(split.rest.end(), words.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                        words.end());
      break;
    }
    const auto known = std::ranges::find(flags, plain_name(word), &Flag::name);
    if (known == flags.end()) return unknown_option(word, flags);
    split.rest.push_back(word);
    const bool value_follows = !known->metavar.empty() && word.find('=') == word.npos;
    if (value_follows && i + 1 < words.size()) split.rest.push_back(words[++i]);
  }
  return split;
}

Result<Arguments> parse_arguments(const Command* command, const std::vector<std::string>& words) {
  const bool takes_command = command != nullptr && command->takes_command;
  const auto end = takes_command ? std::ranges::find(words, "--") : words.end();
  std::vector<std::string> long_words(words.begin(), end);
  std::ranges::replace(long_words, std::string("-h"), std::string("--help"));
  const std::vector<Flag> flags = known_flags(command);
  if (const auto checked = refuse_short_options(flags, long_words, takes_command); !checked) {
    return checked.error();
  }
  auto arguments = parse_with_boost(flags, long_words);
  if (!arguments || command == nullptr) return arguments;
  if (const auto checked = check_positional(*command, *arguments); !checked) {
    return checked.error();
  }
  if (end != words.end()) {
    arguments->trailing.assign(std::next(end), words.end());
    if (arguments->trailing.empty()) {
      return make_error(ErrorKind::kInvalid, "no command follows the '--'");
    }
  }
  return arguments;
}

}  // namespace ferry::app
