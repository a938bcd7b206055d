#include "app/command.h"

namespace ferry::app {

std::span<const Command> commands() {
  static const std::vector<Command> table = {
      watch_command(),  upload_command(),     transfer_command(),   status_command(),
      list_command(),   history_command(),    quarantine_command(), verify_command(),
      retry_command(),  import_command(),     compact_command(),    doctor_command(),
      config_command(), completion_command(),
  };
  return table;
}

const Command* find_command(std::string_view name) {
  for (const Command& command : commands()) {
    if (command.name == name) return &command;
  }
  return nullptr;
}

}  // namespace ferry::app
