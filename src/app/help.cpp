#include "app/help.h"

#include <algorithm>

#include "app/arguments.h"

namespace ferry::app {
namespace {

constexpr std::size_t kColumn = 30;

std::string entry(std::string_view left, std::string_view right) {
  std::string line = fmt::format("  {:<{}}", left, kColumn - 2);
  if (left.size() > kColumn - 4) line += fmt::format("\n{:{}}", "", kColumn);
  return line.append(right).append("\n");
}

std::string flag_entry(std::string_view name, std::string_view metavar, std::string_view help,
                       std::string_view default_value = "") {
  std::string left = fmt::format("--{}", name);
  if (!metavar.empty()) left += fmt::format(" {}", metavar);
  std::string right(help);
  if (!default_value.empty()) right += fmt::format(" [{}]", default_value);
  return entry(left, right);
}

std::string option_entry(const Option& option) {
  return flag_entry(option.flag, option.metavar, option.help, default_text(option));
}

std::string global_entries() {
  std::string out;
  for (const Option& option : options()) {
    if (option.commands == kEveryCommand) out += option_entry(option);
  }
  for (const Flag& flag : kGlobalFlags) out += flag_entry(flag.name, flag.metavar, flag.help);
  return out;
}

std::string own_entries(const Command& command) {
  std::string out;
  for (const Flag& flag : command.flags) out += flag_entry(flag.name, flag.metavar, flag.help);
  for (const Option& option : options()) {
    if (option.commands != kEveryCommand && takes(command, option)) out += option_entry(option);
  }
  return out;
}

}  // namespace

std::string program_help() {
  std::string out =
      "ferry registers the files that land in a directory and delivers each of them over SFTP:\n"
      "once, whole, proven, and recorded.\n\n"
      "usage: ferry [global options] COMMAND [options]\n\ncommands\n";
  for (const Command& command : commands()) out += entry(command.name, command.summary);
  out += entry("help [COMMAND]", "this page, or a command's");
  out += "\nglobal options\n" + global_entries();
  out += "\nferry COMMAND --help tells a command's options and exit codes.\n";
  return out;
}

std::string command_help(const Command& command) {
  std::string out = fmt::format("usage: ferry {} [options]", command.name);
  if (!command.positional.empty()) out += fmt::format(" {}", command.positional);
  out += fmt::format("\n\n{}\n", command.description);
  if (const std::string own = own_entries(command); !own.empty()) out += "\noptions\n" + own;
  out += "\nglobal options\n" + global_entries();
  out += "\nexit codes\n";
  for (const ExitCode& exit : exit_codes(command)) out += entry(exit.code, exit.meaning);
  return out;
}

}  // namespace ferry::app
