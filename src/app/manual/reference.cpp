#include "app/manual/reference.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "app/config/options.h"

namespace ferry::app::manual {
namespace {

struct SectionText {
  std::string_view section;
  std::string_view intro;
};

constexpr std::array kSectionTexts{
    SectionText{"", "Keys that stand before the first table."},
    SectionText{"log", "The log on standard error."},
    SectionText{"landing",
                "A landing area: a directory where files arrive. There may be several, each with a "
                "name of its own, by which the registry knows its files. An area that gets another "
                "name is another area."},
    SectionText{"watch", "How the watcher looks at all landing areas."},
    SectionText{"destination",
                "A server to deliver to. There may be several, each with a name of its own, which "
                "the tables note down and --to takes."},
    SectionText{"route",
                "Which files go where, under which names. Without any route every file goes to "
                "every destination under its own path."},
    SectionText{"transform",
                "What a route may do to a file on its way. The registered file stays as it is."},
    SectionText{"expect",
                "Files that should come every day. What is not at its destinations in time is "
                "late: 'ferry expect', 'ferry status' and its --check tell."},
    SectionText{
        "notify",
        "Who is told if something needs somebody, by a program of yours that 'ferry notify' "
        "runs. There may be several."},
    SectionText{"transfer", "How files are delivered, whatever the destination."},
    SectionText{"serve", "The service: uploads, questions and a page over HTTP."},
};

constexpr std::array kValueTypes{
    ValueType{"bandwidth",
              "bytes a second, as a size: \"10M\"; or spans of the local day with their limits: "
              "\"08:00-18:00=10M\". Outside of the spans there is no limit."},
    ValueType{"days of the week",
              "names and spans of them with commas between: \"mon-fri\" or \"mon,thu-sat\"."},
    ValueType{"duration",
              "a number and a unit, as a string: \"500ms\", \"2s\", \"5m\", "
              "\"1h30m\", \"1.5h\" or \"1d\"."},
    ValueType{"list", "strings in brackets: [\"one\", \"two\"]. A single one may do without them."},
    ValueType{"number", "a whole number, not quoted."},
    ValueType{"path",
              "a string. A relative path starts at the folder of the configuration file, "
              "~/ at the home directory."},
    ValueType{"size",
              "bytes: a whole number, or a string with a unit, \"64KiB\", \"1.5M\" or "
              "\"10 GB\". K, M, G and T, with or without iB, are powers of 1024; KB, MB, GB and TB "
              "of 1000."},
    ValueType{"string",
              "text in quotes. In patterns for names, * stands for any characters, ? for "
              "one, and [a-c] for one of several."},
    ValueType{"time of day", "of the expectation's timezone, from \"00:00\" to \"23:59\"."},
    ValueType{"URL",
              "sftp://USER@HOST:PORT/DIRECTORY; user and port may be left out. "
              "sftp://HOST/~/DIRECTORY starts at the home directory there."},
};

constexpr std::array kVariables{
    Variable{"FERRY_CONFIG",
             "The configuration file, if --config does not name one; /dev/null: none."},
    Variable{"FERRY_METASTORE",
             "The metastore, whatever the configuration file says. If nobody names one: "
             "~/.local/state/ferry, or ferry below XDG_STATE_HOME."},
    Variable{"FERRY_PASSWORD",
             "The password for destinations that have no password_file; if a run has several, for "
             "those of them that have no identity either."},
    Variable{"FERRY_PASSPHRASE",
             "The passphrase of the private keys of destinations that have no passphrase_file."},
    Variable{"SSH_AUTH_SOCK", "Where to find the agent that holds keys, see ssh-agent(1)."},
};

constexpr std::array<std::string_view, 4> kRules{
    "The file is TOML (https://toml.io). --config FILE or FERRY_CONFIG names it; else it is "
    "~/.config/ferry/ferry.toml (below XDG_CONFIG_HOME if that is set), else "
    "/etc/ferry/ferry.toml, "
    "else there is none, which is enough for one landing area and one destination. \"ferry config "
    "init\" writes a first one.",
    "The command line outweighs the environment, which outweighs the file, which outweighs the "
    "defaults. But a destination's own password_file and passphrase_file outweigh FERRY_PASSWORD "
    "and FERRY_PASSPHRASE.",
    "Most keys are also options of the commands that can use them. A number, a path or a switch "
    "given "
    "there holds for all landing areas or destinations of the run.",
    "\"ferry config show\" prints what is in effect, \"ferry config check\" finds mistakes and "
    "says "
    "where they are. A running watcher, serve and transfer --follow read the file again on SIGHUP.",
};

constexpr std::string_view kExample = R"(metastore = "/var/lib/ferry"

[landing.partners]
path = "/srv/sftp/partners"
ignore = ["*.bak", "scratch/*"]

[destination.warehouse]
url = "sftp://drop@warehouse.example.org/inbox"
identity = "/etc/ferry/id_ed25519"
known_hosts = "/etc/ferry/known_hosts"

[transfer]
max_attempts = 5
bandwidth_limit = "08:00-18:00=10M"
)";

std::string in_quotes(std::string_view text) {
  return fmt::format("\"{}\"", text);
}

std::string value_word(const Option& option) {
  if (option.choices.empty()) return std::string(option.type);
  std::string words;
  for (std::size_t i = 0; i < option.choices.size(); ++i) {
    if (i > 0) words += i + 1 == option.choices.size() ? " or " : ", ";
    words += in_quotes(option.choices[i]);
  }
  return words;
}

std::string default_word(const Option& option) {
  const Value value = default_value(option);
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  if (const auto* number = std::get_if<std::int64_t>(&value)) return std::to_string(*number);
  const auto* text = std::get_if<std::string>(&value);
  return text == nullptr || text->empty() ? "" : in_quotes(*text);
}

/// A switch's help tells what happens where it is given: "no-…" sets the key to false.
std::string meaning_of(const Option& option) {
  if (!option.key_help.empty()) return std::string(option.key_help);
  if (!option.metavar.empty()) return std::string(option.help);
  return fmt::format("{}: {}", option.flag.starts_with("no-") ? "false" : "true", option.help);
}

Key key_of(const Option& option) {
  std::string flag;
  if (!option.flag.empty()) flag = fmt::format("--{}", option.flag);
  if (!flag.empty() && !option.metavar.empty()) flag += fmt::format(" {}", option.metavar);
  return {.name = option.key,
          .value = value_word(option),
          .default_value = default_word(option),
          .required = option.key == required_key(option.section),
          .meaning = meaning_of(option),
          .flag = std::move(flag)};
}

Table table_for(Section section) {
  const std::string_view name = to_string(section);
  Table table;
  if (!name.empty()) table.heading = fmt::format("[{}{}]", name, is_named(section) ? ".NAME" : "");
  const auto known = std::ranges::find(kSectionTexts, name, &SectionText::section);
  if (known != kSectionTexts.end()) table.intro = known->intro;
  return table;
}

}  // namespace

std::vector<Table> tables() {
  std::vector<Section> sections;
  std::vector<Table> tables;
  for (const Option& option : options()) {
    auto known = std::ranges::find(sections, option.section);
    if (known == sections.end()) {
      known = sections.insert(sections.end(), option.section);
      tables.push_back(table_for(option.section));
    }
    tables[static_cast<std::size_t>(known - sections.begin())].keys.push_back(key_of(option));
  }
  return tables;
}

std::span<const ValueType> value_types() {
  return kValueTypes;
}

std::span<const Variable> environment_variables() {
  return kVariables;
}

std::span<const std::string_view> rules() {
  return kRules;
}

std::string_view example() {
  return kExample;
}

}  // namespace ferry::app::manual
