#include <fmt/format.h>

#include "app/manual/mdoc.h"
#include "app/manual/pages.h"
#include "app/manual/reference.h"

namespace ferry::app::manual {
namespace {

void write_rules(Mdoc& page) {
  page.section("description");
  for (bool first = true; const std::string_view rule : rules()) {
    if (!first) page.new_paragraph();
    page.prose(rule);
    first = false;
  }
}

void write_value_types(Mdoc& page) {
  page.section("values");
  page.begin_list();
  for (const ValueType& type : value_types()) {
    page.item("Em", type.word);
    page.prose(type.meaning);
  }
  page.end_list();
}

void write_key(Mdoc& page, const Key& key) {
  page.macro(fmt::format(".It Ic {} No = Em {}", key.name, escaped(key.value)));
  page.prose(fmt::format("{}.", key.meaning));
  if (key.required) page.prose("Required.");
  if (!key.default_value.empty()) page.prose(fmt::format("Default: {}.", key.default_value));
  if (!key.flag.empty()) page.prose(fmt::format("Option: {}.", key.flag));
}

void write_table(Mdoc& page, const Table& table) {
  page.subsection(table.heading.empty() ? "General" : table.heading);
  page.prose(table.intro);
  page.begin_list();
  for (const Key& key : table.keys) write_key(page, key);
  page.end_list();
}

}  // namespace

std::string configuration_page(std::string_view date) {
  Mdoc page("ferry.toml", 5, date);
  page.name("ferry.toml", "configuration of ferry");
  write_rules(page);
  page.section("keys");
  for (const Table& table : tables()) write_table(page, table);
  write_value_types(page);
  page.section("examples");
  page.literal(example());
  page.section("see also");
  page.macro(".Xr ferry 1 ,\n.Xr ssh_config 5");
  return page.text();
}

}  // namespace ferry::app::manual
