// A command: what the table in commands.cpp knows about it.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "app/config/options.h"
#include "app/exit_status.h"
#include "ferry/base/stop.h"

namespace ferry::app {

/// An option of one command that is not a setting.
struct Flag {
  std::string_view name;
  std::string_view metavar;  // empty: a switch
  std::string_view help;
  std::span<const std::string_view> choices = {};  // the words that it may be; empty: anything
};

/// One of the ways in which a command ends.
struct Exit {
  ExitStatus status;
  std::string_view meaning = {};  // empty: what it means for every command
};

constexpr std::string_view kInputOutputFailed =
    "its input could not be read, or its result not written";

/// A command line taken apart.
struct Arguments {
  std::map<std::string, std::vector<std::string>, std::less<>> flags;  // in order of appearance
  std::vector<std::string> positional;
  std::vector<std::string> trailing;  // a command that is to be run

  bool has(std::string_view flag) const { return flags.contains(flag); }
  std::optional<std::string> last(std::string_view flag) const {
    const auto found = flags.find(flag);
    if (found == flags.end() || found->second.empty()) return std::nullopt;
    return found->second.back();
  }
};

struct Command;

struct Invocation {
  const Command& command;
  Arguments arguments;
  StopToken& stop;
  /// Asks a command that goes on to read its configuration again; nothing: SIGHUP does.
  ReloadRequest* hangup = nullptr;

  ReloadRequest& reload_request() const { return hangup != nullptr ? *hangup : reload_on_hangup(); }
};

struct Command {
  std::string_view name;
  CommandBit bit;
  std::string_view summary;
  std::string_view positional;  // as usage shows it
  std::size_t min_positional = 0;
  std::size_t max_positional = 0;
  std::string_view description;
  std::vector<Flag> flags;
  bool takes_command = false;  // what follows "--" is a program to run, with its arguments
  std::vector<Exit> exits;     // but for those of an option
  Outcome<ExitStatus> (*run)(const Invocation&);
};

/// An exit code as the manual tells it: a number, or the value of the option that chooses it.
struct ExitCode {
  std::string code;
  std::string_view meaning;
};
std::vector<ExitCode> exit_codes(const Command& command);

std::span<const Command> commands();
const Command* find_command(std::string_view name);

/// Runs one command line, without the program's name; returns the exit code.
int run(const std::vector<std::string>& words);

}  // namespace ferry::app
