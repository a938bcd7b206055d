#include <algorithm>
#include <cstdio>

#include "app/arguments.h"
#include "app/commands/command.h"
#include "app/config/secrets.h"
#include "app/config/text.h"
#include "app/journald.h"
#include "app/manual/completion.h"
#include "app/manual/help.h"
#include "app/output.h"
#include "ferry/base/log.h"
#include "ferry/base/text.h"

namespace ferry::app {
namespace {

int code(ExitStatus status) {
  return static_cast<int>(status);
}

Error output_failed() {
  return make_error(ErrorKind::kIo, "standard output cannot be written");
}

void report(std::string_view command, const Failure& failure, ExitStatus status, bool as_event) {
  if (as_event && status == ExitStatus::kInterrupted) {
    log::info("command stopped", {{"command", command}, {"reason", failure.error.message}});
    return;
  }
  if (as_event) {
    log::error("command failed", {{"command", command},
                                  {"kind", to_string(failure.error.kind)},
                                  {"error", failure.error.message},
                                  {"exit_code", code(status)}});
    return;
  }
  const std::string name = command.empty() ? "ferry" : fmt::format("ferry {}", command);
  for (std::size_t start = 0; start <= failure.error.message.size();) {
    const std::size_t end =
        std::min(failure.error.message.find('\n', start), failure.error.message.size());
    const auto line = std::string_view(failure.error.message).substr(start, end - start);
    fmt::print(stderr, "{}: {}\n", name, escape_controls(line));
    start = end + 1;
  }
}

/// Of what was only to be shown.
int shown() {
  if (flush_output()) return code(ExitStatus::kDone);
  report("", {Origin::kLocal, output_failed()}, ExitStatus::kSomeFailed, false);
  return code(ExitStatus::kSomeFailed);
}

int usage_error(std::string_view command, const Error& error) {
  report(command, {Origin::kLocal, error}, ExitStatus::kUsage, false);
  fmt::print(stderr, "Try 'ferry {}--help'.\n", command.empty() ? "" : fmt::format("{} ", command));
  return code(ExitStatus::kUsage);
}

int unknown_command(const std::string& word) {
  std::vector<std::string_view> names{"help"};
  for (const Command& command : commands()) names.push_back(command.name);
  return usage_error(
      "", make_error(ErrorKind::kInvalid, "unknown command '{}'{}", word, suggestion(word, names)));
}

int print_help(const std::vector<std::string>& words) {
  if (words.empty() || words.front().starts_with("-") || words.front() == "help") {
    print(program_help());
    return shown();
  }
  const Command* command = find_command(words.front());
  if (command == nullptr) return unknown_command(words.front());
  print(command_help(*command, std::ranges::find(words, "--all") != words.end()));
  return shown();
}

int run_without_command(const std::vector<std::string>& words) {
  const auto arguments = parse_arguments(nullptr, words);
  if (!arguments) return usage_error("", arguments.error());
  if (arguments->has("version")) {
    print("ferry " FERRY_VERSION "\n");
    return shown();
  }
  if (arguments->has("help")) return print_help({});
  fmt::print(stderr, "{}", program_help());
  return code(ExitStatus::kUsage);
}

int run_command(const Command& command, const std::vector<std::string>& words) {
  auto arguments = parse_arguments(&command, words);
  if (!arguments) return usage_error(command.name, arguments.error());
  if (arguments->has("version")) return run_without_command({"--version"});
  if (arguments->has("help")) return print_help({std::string(command.name)});
  const bool as_event = log_to_journal_if_connected() || arguments->last("log-format") == "json";
  const auto ended = command.run({command, std::move(*arguments), stop_on_signals()});
  if (ended && flush_output()) return code(*ended);
  const Failure failure = ended ? Failure{Origin::kLocal, output_failed()} : ended.error();
  const ExitStatus status = exit_status_for(failure);
  report(command.name, failure, status, as_event);
  return code(status);
}

}  // namespace

int run(const std::vector<std::string>& words) {
  environment_secrets();  // nothing that runs from here on finds them there
  const auto line = split_line(words);
  if (!line) return usage_error("", line.error());
  if (line->command.empty()) return run_without_command(line->rest);
  if (line->command == "help") return print_help(line->rest);
  if (line->command == "complete") {  // for shells: it is no command that people give
    print(completions(line->rest));
    return shown();
  }
  const Command* command = find_command(line->command);
  if (command == nullptr) return unknown_command(line->command);
  return run_command(*command, line->rest);
}

}  // namespace ferry::app
