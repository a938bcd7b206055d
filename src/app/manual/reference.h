// What the manual tells about the configuration file, made from the table of options.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::app::manual {

/// A key of the configuration file.
struct Key {
  std::string_view name;
  std::string value;          // what it takes: "duration", "one of \"none\", \"size\""
  std::string default_value;  // as a file would say it; empty: none
  bool required = false;
  std::string meaning;
  std::string flag;  // as the command line says it; empty: it does not
};

/// A table of the configuration file.
struct Table {
  std::string heading;     // "[landing.NAME]"; empty: the keys before the first table
  std::string_view intro;  // a sentence or two
  std::vector<Key> keys;
};
std::vector<Table> tables();

/// A word that Key::value uses, and how such a value is written.
struct ValueType {
  std::string_view word;
  std::string_view meaning;
};
std::span<const ValueType> value_types();

struct Variable {
  std::string_view name;
  std::string_view meaning;
};
std::span<const Variable> environment_variables();

/// How the configuration comes together, a paragraph each.
std::span<const std::string_view> rules();

/// A configuration to begin with.
std::string_view example();

}  // namespace ferry::app::manual
