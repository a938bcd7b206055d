#include "app/commands/command.h"
#include "app/config/config_file.h"
#include "app/config/config_init.h"
#include "app/config/setup.h"
#include "app/config/text.h"
#include "app/config/usual_places.h"
#include "app/output.h"
#include "ferry/base/text.h"

namespace ferry::app {
namespace {

constexpr std::string_view kActions[] = {"show", "check", "init"};

Outcome<ExitStatus> show(const Arguments& arguments) {
  const auto settings = effective_settings(arguments);
  if (!settings) return fail(settings.error());
  print(to_toml(*settings));
  return ExitStatus::kDone;
}

Outcome<ExitStatus> check(const Arguments& arguments) {
  const fs::path file = configuration_file(arguments);
  if (file.empty()) {
    return fail(make_error(ErrorKind::kInvalid,
                           "no configuration file: give --config FILE or set FERRY_CONFIG; 'ferry "
                           "config init' makes ~/.config/ferry/ferry.toml"));
  }
  const auto text = read_configuration(file);
  if (!text) return fail(text.error());
  const Configuration loaded = parse_configuration(*text, file.parent_path());
  for (const Problem& warning : loaded.warnings) {
    print(escape_controls(to_string(warning, file)) + "\n");
  }
  for (const Problem& problem : loaded.problems) {
    print(escape_controls(to_string(problem, file)) + "\n");
  }
  if (!loaded.problems.empty()) return ExitStatus::kUsage;
  print(fmt::format("{}: no mistakes found\n", file.string()));
  return ExitStatus::kDone;
}

Outcome<ExitStatus> run_config(const Invocation& invocation) {
  const std::string& action = invocation.arguments.positional.front();
  if (action == "show") return show(invocation.arguments);
  if (action == "check") return check(invocation.arguments);
  if (action == "init") return init_configuration(invocation);
  return fail(make_error(ErrorKind::kInvalid, "unknown action '{}': choose show, check or init{}",
                         action, suggestion(action, kActions)));
}

}  // namespace

Command config_command() {
  return {
      .name = "config",
      .bit = kConfigBit,
      .summary = "show the effective configuration, check a file for mistakes, or make one",
      .positional = "show|check|init",
      .min_positional = 1,
      .max_positional = 1,
      .description =
          "show   prints what is in effect, from command line, environment and file, as TOML.\n"
          "check  reads the configuration file and prints every mistake with line and column.\n"
          "init   writes one, ~/.config/ferry/ferry.toml or --config FILE, for --landing DIR and\n"
          "       --to URL, or for what it asks; shows the server's host key and tries it out.",
      .flags = {},
      .exits = {{ExitStatus::kDone},
                {ExitStatus::kSomeFailed, kInputOutputFailed},
                {ExitStatus::kUsage},
                {ExitStatus::kDestination,
                 "init: the file is written, but the destination cannot be used yet"},
                {ExitStatus::kInterrupted}},
      .run = &run_config};
}

}  // namespace ferry::app
