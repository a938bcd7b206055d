#include "app/manual/help.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <utility>

#include "app/arguments.h"
#include "app/manual/help_examples.h"

namespace ferry::app {
namespace {

constexpr std::size_t kColumn = 30;
constexpr std::size_t kWidest = 100;

/// Columns that there are; 0: as many as it takes, for programs.
std::size_t columns() {
  std::size_t columns = 0;
  if (const char* given = std::getenv("COLUMNS"); given != nullptr) {
    const std::string_view text(given);
    std::from_chars(text.data(), text.data() + text.size(), columns);
  }
  winsize size{};
  if (columns == 0 && ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) columns = size.ws_col;
  return columns == 0 ? 0 : std::clamp(columns, kColumn + 20, kWidest);
}

/// Lines from column INDENT on, if their words are no longer.
std::string wrapped(std::string_view text, std::size_t indent) {
  const std::size_t width = columns() == 0 ? 0 : columns() - indent;
  std::string out;
  std::size_t column = 0;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    if (column > 0 && width > 0 && column + 1 + word.size() > width) {
      out += fmt::format("\n{:{}}", "", indent);
      column = 0;
    }
    if (column > 0) out += ' ';
    out += word;
    column += (column > 0 ? 1 : 0) + word.size();
  }
  return out;
}

/// The lines of a description as wide as the terminal: paragraphs, and entries such as
/// "show   prints", which keep their two columns.
std::string filled(std::string_view text) {
  if (columns() == 0) return fmt::format("{}\n", text);
  std::string out;
  std::string running;
  std::size_t indent = 0;
  const auto finish = [&] {
    if (!running.empty()) out += wrapped(std::exchange(running, ""), indent) + "\n";
  };
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const bool goes_on = line.starts_with(' ');
    const std::size_t gap = goes_on ? line.npos : line.find("  ");
    if (line.empty() || gap != line.npos) finish();
    if (line.empty()) out += '\n';
    if (!goes_on) indent = gap == line.npos ? 0 : line.find_first_not_of(' ', gap);
    if (gap != line.npos) out += line.substr(0, indent);
    line.remove_prefix(
        std::min(gap == line.npos ? line.find_first_not_of(' ') : indent, line.size()));
    running += running.empty() ? "" : " ";
    running += line;
  }
  finish();
  return out;
}

std::string entry(std::string_view left, std::string_view right) {
  std::string line = fmt::format("  {:<{}}", left, kColumn - 2);
  if (left.size() > kColumn - 4) line += fmt::format("\n{:{}}", "", kColumn);
  return line.append(wrapped(right, kColumn)).append("\n");
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

/// What most people need; all others are in the manual.
bool is_common(const Option& option) {
  static constexpr std::array<std::string_view, 22> kCommon{
      "landing",     "ignore",       "settle",        "quarantine",
      "to",          "identity",     "known-hosts",   "accept-new-host-key",
      "no-agent",    "transport",    "password-file", "connections",
      "timezone",    "verify",       "batch",         "bandwidth-limit",
      "deadline",    "max-attempts", "listen",        "retries",
      "control-dir", "hash-threads"};
  return std::ranges::find(kCommon, option.flag) != kCommon.end();
}

struct Group {
  Section section;
  std::string_view title;
};
constexpr std::array kGroups{
    Group{Section::kLanding, "landing areas"}, Group{Section::kWatch, "watching"},
    Group{Section::kDestination, "destinations"}, Group{Section::kTransfer, "delivering"}};

std::string_view title_of(Section section) {
  const auto found = std::ranges::find(kGroups, section, &Group::section);
  return found != kGroups.end() ? found->title : "others";
}

/// The settings that COMMAND takes, by what they are about.
std::string grouped_entries(const Command& command, bool all) {
  std::vector<std::pair<std::string_view, std::string>> groups;
  std::size_t left_out = 0;
  for (const Option& option : options()) {
    if (option.commands == kEveryCommand || !takes(command, option)) continue;
    if (!all && !is_common(option)) {
      ++left_out;
      continue;
    }
    const std::string_view title = title_of(option.section);
    auto group = std::ranges::find(groups, title, &decltype(groups)::value_type::first);
    if (group == groups.end()) group = groups.insert(groups.end(), {title, ""});
    group->second += option_entry(option);
  }
  std::string out;
  for (const auto& [title, entries] : groups) out += fmt::format("\n{}\n{}", title, entries);
  if (left_out > 0) {
    out += "\n" + filled(fmt::format("{} more, for rare cases: 'ferry help {} --all', 'man ferry'",
                                     left_out, command.name));
  }
  return out;
}

std::string examples(const Command& command) {
  std::string out;
  for (const Example& example : examples_of(command.name)) {
    out += fmt::format("  {}\n      {}\n", example.line, wrapped(example.meaning, 6));
  }
  return out.empty() ? out : "\nexamples\n" + out;
}

}  // namespace

std::string program_help() {
  std::string out = filled(
      "ferry registers the files that land in a directory and delivers each of them over SFTP:\n"
      "once, whole, proven, and recorded.");
  out += "\nusage: ferry [global options] COMMAND [options]\n\ncommands\n";
  for (const Command& command : commands()) out += entry(command.name, command.summary);
  out += entry("help [COMMAND]", "this page, or a command's");
  out += "\nglobal options\n" + global_entries();
  out += "\n" + filled("ferry COMMAND --help tells a command's options and exit codes.");
  return out;
}

std::string command_help(const Command& command, bool all) {
  std::string usage = fmt::format("ferry {} [options]", command.name);
  if (!command.positional.empty()) usage += fmt::format(" {}", command.positional);
  constexpr std::string_view kUsage = "usage: ";
  std::string out = fmt::format("{}{}\n\n", kUsage, wrapped(usage, kUsage.size()));
  out += filled(command.description);
  out += examples(command);
  if (!command.flags.empty()) out += "\noptions\n";
  for (const Flag& flag : command.flags) out += flag_entry(flag.name, flag.metavar, flag.help);
  out += grouped_entries(command, all);
  out += "\nglobal options\n" + global_entries();
  out += "\nexit codes\n";
  for (const ExitCode& exit : exit_codes(command)) out += entry(exit.code, exit.meaning);
  return out;
}

}  // namespace ferry::app
