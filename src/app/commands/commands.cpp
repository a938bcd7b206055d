#include <algorithm>

#include "app/commands/command.h"
#include "app/config/selection.h"

namespace ferry::app {

// Each in a file of its own, NAME.cpp.
Command push_command();
Command watch_command();
Command serve_command();
Command token_command();
Command upload_command();
Command transfer_command();
Command status_command();
Command list_command();
Command history_command();
Command expect_command();
Command notify_command();
Command import_command();
Command verify_command();
Command quarantine_command();
Command retry_command();
Command resend_command();
Command compact_command();
Command metastore_command();
Command doctor_command();
Command config_command();
Command completion_command();

std::span<const Command> commands() {
  static const std::vector<Command> table = {
      push_command(),       watch_command(),     upload_command(), transfer_command(),
      serve_command(),      token_command(),     status_command(), list_command(),
      history_command(),    expect_command(),    notify_command(), quarantine_command(),
      verify_command(),     retry_command(),     resend_command(), import_command(),
      compact_command(),    metastore_command(), doctor_command(), config_command(),
      completion_command(),
  };
  return table;
}

std::vector<ExitCode> exit_codes(const Command& command) {
  std::vector<ExitCode> codes;
  for (const Exit& exit : command.exits) {
    codes.push_back({std::to_string(static_cast<int>(exit.status)),
                     exit.meaning.empty() ? describe(exit.status) : exit.meaning});
  }
  const auto chosen = std::ranges::find(command.flags, kIdleExitCode, &Flag::name);
  if (chosen != command.flags.end()) {
    codes.push_back({std::string(chosen->metavar), "with --idle-exit-code N: nothing to do"});
  }
  return codes;
}

const Command* find_command(std::string_view name) {
  for (const Command& command : commands()) {
    if (command.name == name) return &command;
  }
  return nullptr;
}

}  // namespace ferry::app
