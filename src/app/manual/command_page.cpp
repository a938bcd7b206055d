#include <fmt/format.h>

#include "app/arguments.h"
#include "app/commands/command.h"
#include "app/manual/mdoc.h"
#include "app/manual/pages.h"
#include "app/manual/reference.h"

namespace ferry::app::manual {
namespace {

constexpr ExitStatus kExits[] = {ExitStatus::kDone,      ExitStatus::kSomeFailed,
                                 ExitStatus::kUsage,     ExitStatus::kDestination,
                                 ExitStatus::kMetastore, ExitStatus::kInterrupted};

void write_flag(Mdoc& page, const Flag& flag) {
  page.option_item(flag.name, flag.metavar);
  page.prose(fmt::format("{}.", flag.help));
}

void write_option(Mdoc& page, const Option& option) {
  page.option_item(option.flag, option.metavar);
  page.prose(fmt::format("{}.", option.help));
  if (const std::string text = default_text(option); !text.empty()) {
    page.prose(fmt::format("Default: {}.", text));
  }
}

bool is_global(const Option& option) {
  return option.commands == kEveryCommand;
}

bool has_options(const Command& command) {
  if (!command.flags.empty()) return true;
  for (const Option& option : options()) {
    if (!is_global(option) && takes(command, option)) return true;
  }
  return false;
}

void write_own_options(Mdoc& page, const Command& command) {
  page.begin_list();
  for (const Flag& flag : command.flags) write_flag(page, flag);
  for (const Option& option : options()) {
    if (!is_global(option) && takes(command, option)) write_option(page, option);
  }
  page.end_list();
}

void write_exit_codes(Mdoc& page, const Command& command) {
  page.new_paragraph();
  page.prose("Exit codes:");
  page.begin_list();
  for (const ExitCode& exit : exit_codes(command)) {
    page.macro(fmt::format(".It {}", exit.code));
    page.prose(fmt::format("{}.", exit.meaning));
  }
  page.end_list();
}

void write_command(Mdoc& page, const Command& command) {
  page.subsection(command.name);
  page.macro(fmt::format(".Nm Cm {}", command.name));
  if (has_options(command)) page.macro(".Op Ar options");
  if (!command.positional.empty()) page.macro(fmt::format(".Ar {}", escaped(command.positional)));
  page.paragraphs(command.description);
  if (has_options(command)) write_own_options(page, command);
  write_exit_codes(page, command);
}

void write_synopsis(Mdoc& page) {
  page.section("synopsis");
  page.macro(
      ".Nm\n.Op Ar global options\n.Ar command\n.Op Ar options\n.Nm\n.Cm help\n.Op Ar command");
}

void write_description(Mdoc& page) {
  page.section("description");
  page.prose(
      "ferry watches directories where files arrive, keeps a register of them that a person can "
      "read, and delivers each one to an SFTP server: once, whole, proven, and recorded.");
  page.new_paragraph();
  page.prose(
      "The register, the metastore, is a directory with two tables of JSON lines: file_registry "
      "tells what landed, transfer_logs what became of it. A file is registered when nobody writes "
      "it any more; at the destination it gets its name in one step, when all of it is there. A "
      "control file, pushed last, lists what a run delivered, with sizes and checksums.");
  page.new_paragraph();
  page.prose(
      "Results go to standard output, the log to standard error. Options that several commands "
      "share are keys of the configuration file, too, see");
  page.macro(".Xr ferry.toml 5 .");
}

void write_global_options(Mdoc& page) {
  page.section("global options");
  page.begin_list();
  for (const Option& option : options()) {
    if (is_global(option)) write_option(page, option);
  }
  for (const Flag& flag : kGlobalFlags) write_flag(page, flag);
  page.end_list();
}

void write_environment(Mdoc& page) {
  page.section("environment");
  page.begin_list();
  for (const Variable& variable : environment_variables()) {
    page.item("Ev", variable.name);
    page.prose(variable.meaning);
  }
  page.end_list();
}

void write_exit_status(Mdoc& page) {
  page.section("exit status");
  page.prose("Each command's own meanings stand with it. In general:");
  page.begin_list();
  for (const ExitStatus status : kExits) {
    page.macro(fmt::format(".It {}", static_cast<int>(status)));
    page.prose(fmt::format("{}.", describe(status)));
  }
  page.end_list();
}

void write_files(Mdoc& page) {
  page.section("files");
  page.begin_list();
  page.item("Pa", "METASTORE/file_registry.jsonl");
  page.prose("What landed: one version of a file in each record.");
  page.item("Pa", "METASTORE/transfer_logs.jsonl");
  page.prose("What became of each file with each destination. The last record counts.");
  page.item("Pa", "METASTORE/pending");
  page.prose("An empty file that is there exactly while something waits to be delivered.");
  page.item("Pa", "/etc/ferry/ferry.toml");
  page.prose("The configuration that the systemd units use.");
  page.end_list();
}

void write_examples(Mdoc& page) {
  page.section("examples");
  page.prose("Register a file and deliver it, without a configuration file:");
  page.literal("ferry push report.csv --to sftp://drop@warehouse.example.org/inbox");
  page.prose("The same in two steps, for all that is in a directory:");
  page.literal(
      "ferry watch --once --landing /srv/in --metastore /var/lib/ferry\n"
      "ferry transfer --landing /srv/in --metastore /var/lib/ferry \\\n"
      "  --to sftp://drop@warehouse.example.org/inbox");
  page.prose("Deliver what was registered yesterday, for a schedule:");
  page.literal("ferry transfer --config /etc/ferry/ferry.toml --date yesterday");
  page.prose("See what is stuck, and why:");
  page.literal("ferry status\nferry list --status failed");
}

void write_see_also(Mdoc& page) {
  page.section("see also");
  page.macro(".Xr sftp 1 ,\n.Xr ssh 1 ,\n.Xr ferry.toml 5 ,\n.Xr ssh_config 5");
}

}  // namespace

std::string command_page(std::string_view date) {
  Mdoc page("ferry", 1, date);
  page.name("ferry", "register files that land, and deliver them over SFTP");
  write_synopsis(page);
  write_description(page);
  page.section("commands");
  for (const Command& command : commands()) write_command(page, command);
  write_global_options(page);
  write_environment(page);
  write_files(page);
  write_exit_status(page);
  write_examples(page);
  write_see_also(page);
  return page.text();
}

}  // namespace ferry::app::manual
