#include <fmt/format.h>

#include "app/manual/pages.h"
#include "app/manual/reference.h"

namespace ferry::app::manual {
namespace {

/// TEXT for a cell of a table.
std::string cell(std::string_view text) {
  std::string out;
  for (const char letter : text) {
    if (letter == '|' || letter == '*' || letter == '<') out.push_back('\\');
    out.push_back(letter);
  }
  return out;
}

/// Code in a cell. Even in code a '|' would end the cell.
std::string code(std::string_view text) {
  if (text.empty()) return "";
  std::string out = "`";
  for (const char letter : text) out += letter == '|' ? "\\|" : std::string(1, letter);
  return out + "`";
}

std::string default_cell(const Key& key) {
  if (key.required) return "required";
  return key.default_value.empty() ? "none" : code(key.default_value);
}

std::string to_markdown(const Table& table) {
  std::string out =
      table.heading.empty() ? "\n### General\n" : fmt::format("\n### `{}`\n", table.heading);
  if (!table.intro.empty()) out += fmt::format("\n{}\n", table.intro);
  out += "\n| key | value | default | meaning | option |\n| --- | --- | --- | --- | --- |\n";
  for (const Key& key : table.keys) {
    out += fmt::format("| {} | {} | {} | {} | {} |\n", code(key.name), cell(key.value),
                       default_cell(key), cell(key.meaning), code(key.flag));
  }
  return out;
}

}  // namespace

std::string configuration_markdown() {
  std::string out =
      "# Configuration\n\n"
      "<!-- Made from the table of options by `make docs`: change src/app/config/options.cpp, not "
      "this. "
      "-->\n";
  for (const std::string_view rule : rules()) out += fmt::format("\n{}\n", rule);
  out += fmt::format("\n```toml\n{}```\n", example());
  out += "\n## Keys\n";
  for (const Table& table : tables()) out += to_markdown(table);
  out += "\n## Values\n\n| value | how it is written |\n| --- | --- |\n";
  for (const ValueType& type : value_types()) {
    out += fmt::format("| {} | {} |\n", type.word, cell(type.meaning));
  }
  out += "\n## Environment\n\n| variable | meaning |\n| --- | --- |\n";
  for (const Variable& variable : environment_variables()) {
    out += fmt::format("| {} | {} |\n", code(variable.name), cell(variable.meaning));
  }
  return out;
}

}  // namespace ferry::app::manual
