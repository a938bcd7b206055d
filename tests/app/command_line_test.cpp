#include <doctest/doctest.h>

#include <set>

#include "app/arguments.h"
#include "app/commands/command.h"
#include "app/manual/help.h"

namespace ferry::app {
namespace {

Result<Arguments> parse(std::string_view command, const std::vector<std::string>& words) {
  return parse_arguments(find_command(command), words);
}

std::string refusal(std::string_view command, const std::vector<std::string>& words) {
  const auto arguments = parse(command, words);
  REQUIRE_FALSE(arguments);
  return arguments.error().message;
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("options, switches and arguments may come in any order") {
  const auto arguments =
      parse("transfer", {"a.csv", "--json", "--date=today", "b.csv", "--to", "sftp://h/d"});
  REQUIRE(arguments);
  CHECK(arguments->positional == std::vector<std::string>{"a.csv", "b.csv"});
  CHECK(arguments->has("json"));
  CHECK(arguments->last("date") == "today");
  CHECK(arguments->last("to") == "sftp://h/d");
}

TEST_CASE("repeated options add up") {
  const auto arguments = parse("watch", {"--landing", "a", "--landing", "b"});
  REQUIRE(arguments);
  CHECK(arguments->flags.at("landing") == std::vector<std::string>{"a", "b"});
}

TEST_CASE("an unknown option is refused with a suggestion, and never guessed") {
  CHECK(contains(refusal("transfer", {"--dry-rn"}), "did you mean '--dry-run'?"));
  CHECK(contains(refusal("transfer", {"--dry"}), "unknown option '--dry'"));
  CHECK(contains(refusal("status", {"--landing", "x"}), "unknown option '--landing'"));
}

TEST_CASE("a missing value and a superfluous argument are refused") {
  CHECK(contains(refusal("transfer", {"--date"}), "date"));
  CHECK(contains(refusal("status", {"extra"}), "unexpected argument 'extra'"));
  CHECK(contains(refusal("history", {}), "ID|PATH is missing"));
}

TEST_CASE("global options may stand before the command") {
  const auto line = split_line({"--metastore", "m", "--log-level=debug", "status", "--json"});
  REQUIRE(line);
  CHECK(line->command == "status");
  CHECK(line->rest == std::vector<std::string>{"--metastore", "m", "--log-level=debug", "--json"});
}

TEST_CASE("other options may not") {
  CHECK_FALSE(split_line({"--json", "status"}));
}

TEST_CASE("every command's help names all its options and ends with its exit codes") {
  for (const Command& command : commands()) {
    const std::string help = command_help(command, true);
    CAPTURE(help);
    for (const Flag& flag : command.flags) CHECK(contains(help, fmt::format("--{}", flag.name)));
    CHECK(contains(help, "--metastore DIR"));
    REQUIRE(contains(help, "\nexit codes\n"));
    CHECK_FALSE(contains(help.substr(help.find("\nexit codes\n")), "\n  --"));
    CHECK(contains(program_help(), command.summary));
  }
}

TEST_CASE("help prints the defaults of the settings") {
  const std::string help = command_help(*find_command("transfer"), true);
  CHECK(contains(help, "[4MiB]"));
  CHECK(contains(help, fmt::format("[{}]", TransferSettings{}.max_attempts.value)));
}

TEST_CASE("no two options of a command share a flag") {
  for (const Command& command : commands()) {
    std::set<std::string_view> seen;
    for (const Flag& flag : kGlobalFlags) CHECK(seen.insert(flag.name).second);
    for (const Flag& flag : command.flags) CHECK(seen.insert(flag.name).second);
    for (const Option& option : options()) {
      if (takes(command, option)) CHECK(seen.insert(option.flag).second);
    }
  }
}

}  // namespace
}  // namespace ferry::app
