#include "app/config/config_file.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include <toml++/toml.h>

#include "app/config/config_rules.h"
#include "app/config/configuration_text.h"
#include "app/config/options.h"
#include "app/config/routing.h"
#include "app/config/text.h"
#include "ferry/base/log.h"
#include "ferry/base/text.h"

namespace ferry::app {
namespace {

constexpr std::string_view kKeyCharacters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

/// NAME as a key: bare where TOML allows it, else quoted.
std::string key_text(std::string_view name);

std::optional<Value> value_of(const toml::node& node) {
  if (const auto* flag = node.as_boolean()) return Value(flag->get());
  if (const auto* number = node.as_integer()) return Value(number->get());
  if (const auto* text = node.as_string()) return Value(text->get());
  const auto* array = node.as_array();
  if (array == nullptr) return std::nullopt;
  std::vector<std::string> texts;
  for (const toml::node& element : *array) {
    const auto* text = element.as_string();
    if (text == nullptr) return std::nullopt;
    texts.push_back(text->get());
  }
  return Value(std::move(texts));
}

bool has_nul(const Value& value) {
  const auto has = [](const std::string& text) { return text.contains('\0'); };
  if (const auto* text = std::get_if<std::string>(&value)) return has(*text);
  const auto* list = std::get_if<std::vector<std::string>>(&value);
  return list != nullptr && std::ranges::any_of(*list, has);
}

/// What a KEY of earlier versions is called; empty: it is not one.
std::string_view renamed_to(Section section, std::string_view key) {
  return section == Section::kRoute && key == "settle" ? "delay" : "";
}

class Loader {
 public:
  explicit Loader(fs::path base) : base_(std::move(base)) {}

  Configuration load(const toml::table& root) {
    load_root(root);
    // What is wrong in itself would only be found wrong a second time.
    if (loaded_.problems.empty()) look_for_contradictions();
    std::ranges::stable_sort(loaded_.problems, {}, [](const Problem& problem) {
      return std::tuple(problem.line, problem.column);
    });
    return std::move(loaded_);
  }

 private:
  void complain(const toml::node& node, std::string message) {
    loaded_.problems.push_back(
        {node.source().begin.line, node.source().begin.column, std::move(message)});
  }

  void look_for_contradictions() {
    for (Contradiction& found : find_contradictions(loaded_.settings)) {
      auto place = places_.find(place_of(found.section, found.name, found.key));
      if (place == places_.end()) place = places_.find(place_of(found.section, found.name, ""));
      const std::string name = found.name.empty() ? "" : "." + key_text(found.name);
      Problem problem{0, 0, fmt::format("{}{}: {}", to_string(found.section), name, found.message)};
      if (place != places_.end()) {
        problem.line = place->second.line;
        problem.column = place->second.column;
      }
      loaded_.problems.push_back(std::move(problem));
    }
  }

  using Place = std::tuple<Section, std::string, std::string>;  // section, name, key
  static Place place_of(Section section, std::string_view name, std::string_view key) {
    return {section, std::string(name), std::string(key)};
  }

  Scope scope() { return {&loaded_.settings, nullptr, nullptr, base_}; }

  void load_root(const toml::table& root) {
    for (const auto& [key, node] : root) {
      if (const auto section = section_named(key.str())) {
        load_section(*section, key.str(), node);
      } else {
        load_value(Section::kGeneral, "", key.str(), node, scope());
      }
    }
  }

  static std::optional<Section> section_named(std::string_view name) {
    for (const Option& option : options()) {
      if (!name.empty() && to_string(option.section) == name) return option.section;
    }
    return std::nullopt;
  }

  void load_section(Section section, std::string_view name, const toml::node& node) {
    const auto* table = node.as_table();
    if (table == nullptr) {
      complain(node, fmt::format("{}: expected a table, [{}{}]", name, name,
                                 is_named(section) ? ".NAME" : ""));
    } else if (is_named(section)) {
      load_entries(section, *table);
    } else {
      remember_places(section, "", node, *table);
      load_table(section, name, *table, scope());
    }
  }

  /// In the order of the file: for routes it matters.
  void load_entries(Section section, const toml::table& table) {
    std::vector<std::pair<std::string, const toml::node*>> entries;
    for (const auto& [name, node] : table) entries.emplace_back(name.str(), &node);
    std::ranges::stable_sort(entries, {}, [](const auto& entry) {
      const auto& begin = entry.second->source().begin;
      return std::pair(begin.line, begin.column);
    });
    for (const auto& [name, node] : entries) load_entry(section, name, *node);
  }

  void load_entry(Section section, const std::string& name, const toml::node& node) {
    const std::string where = fmt::format("{}.{}", to_string(section), key_text(name));
    const auto* table = node.as_table();
    if (table == nullptr) {
      return complain(node,
                      fmt::format("{}: expected a table, [{}.NAME]", where, to_string(section)));
    }
    if (const auto fit = check_name(name); !fit) {
      return complain(node, fmt::format("{}: {}", where, fit.error().message));
    }
    check_keys(section, where, node, *table);
    remember_places(section, name, node, *table);
    load_table(section, where, *table, add_entry(section, name));
  }

  void remember_places(Section section, const std::string& name, const toml::node& node,
                       const toml::table& table) {
    places_[place_of(section, name, "")] = node.source().begin;
    for (const auto& [key, value] : table) {
      places_[place_of(section, name, key.str())] = value.source().begin;
    }
  }

  void check_keys(Section section, std::string_view where, const toml::node& node,
                  const toml::table& table) {
    if (section == Section::kLanding) {
      if (table.contains("path") != table.contains("url")) return;
      const bool both = table.contains("path");
      return complain(node,
                      fmt::format("{}: {}", where,
                                  both ? "it lies here ('path') or on a server ('url'), not both"
                                       : "'path' is missing, or 'url' for one on a server"));
    }
    const std::string_view required = required_key(section);
    if (!required.empty() && !table.contains(required)) {
      complain(node, fmt::format("{}: '{}' is missing", where, required));
    }
  }

  Scope add_entry(Section section, const std::string& name) {
    Settings& settings = loaded_.settings;
    Scope target = scope();
    switch (section) {
      case Section::kLanding:
        target.landing = &settings.landings.emplace_back();
        target.landing->name = name;
        ++settings.configured_landings;
        break;
      case Section::kRoute:
        target.route = &settings.routes.emplace_back();
        target.route->name = name;
        break;
      case Section::kTransform:
        target.transform = &settings.transforms.emplace_back(transform_named(name));
        break;
      case Section::kExpect:
        target.expect = &settings.expected.emplace_back();
        target.expect->name = name;
        break;
      case Section::kNotify:
        target.notify = &settings.notified.emplace_back();
        target.notify->name = name;
        break;
      default:
        target.destination = &settings.destinations.emplace_back();
        target.destination->name = name;
        settings.configured_destinations.push_back(name);
    }
    return target;
  }

  void load_table(Section section, std::string_view where, const toml::table& table,
                  const Scope& target) {
    for (const auto& [key, node] : table) load_value(section, where, key.str(), node, target);
  }

  void load_value(Section section, std::string_view where, std::string_view key,
                  const toml::node& node, const Scope& target) {
    const std::string full = where.empty() ? std::string(key) : fmt::format("{}.{}", where, key);
    if (const std::string_view newer = renamed_to(section, key); !newer.empty()) {
      loaded_.warnings.push_back({node.source().begin.line, node.source().begin.column,
                                  fmt::format("{} is called '{}' now", full, newer)});
      return load_value(section, where, newer, node, target);
    }
    for (const Option& option : options()) {
      if (option.section != section || option.key != key) continue;
      const auto value = value_of(node);
      if (value && has_nul(*value)) {
        return complain(node, fmt::format("{}: it has a NUL character in it", full));
      }
      const Result<void> stored =
          value ? option.set(target, *value)
                : make_error(ErrorKind::kInvalid, "expected a value, '{} = …', not {}", key,
                             node.is_table() ? "a table" : "this type of value");
      if (!stored) complain(node, fmt::format("{}: {}", full, stored.error().message));
      return;
    }
    complain(node, fmt::format("unknown key '{}'{}", full, suggestion(key, known_keys(section))));
  }

  static std::vector<std::string_view> known_keys(Section section) {
    std::set<std::string_view> keys;
    for (const Option& option : options()) {
      if (option.section == section) keys.insert(option.key);
      if (section == Section::kGeneral && option.section != section) {
        keys.insert(to_string(option.section));
      }
    }
    return {keys.begin(), keys.end()};
  }

  fs::path base_;
  Configuration loaded_;
  std::map<Place, toml::source_position> places_;
};

std::string key_text(std::string_view name) {
  const bool bare = !name.empty() && name.find_first_not_of(kKeyCharacters) == name.npos;
  return bare ? std::string(name) : toml_string(name);
}

std::string value_text(const Value& value) {
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  if (const auto* number = std::get_if<std::int64_t>(&value)) return std::to_string(*number);
  if (const auto* text = std::get_if<std::string>(&value)) return toml_string(*text);
  std::string out;
  for (const std::string& text : std::get<std::vector<std::string>>(value)) {
    out += (out.empty() ? "" : ", ") + toml_string(text);
  }
  return fmt::format("[{}]", out);
}

bool is_unset(const Value& value) {
  const auto* text = std::get_if<std::string>(&value);
  const auto* list = std::get_if<std::vector<std::string>>(&value);
  return (text != nullptr && text->empty()) || (list != nullptr && list->empty());
}

std::string section_text(Section section, const Scope& scope) {
  std::string out;
  for (const Option& option : options()) {
    if (option.section != section) continue;
    if (option.remote_only && scope.landing != nullptr && !scope.landing->is_remote()) continue;
    const Value value = option.get(scope);
    if (!is_unset(value)) out += fmt::format("{} = {}\n", option.key, value_text(value));
  }
  return out;
}

}  // namespace

std::string to_string(const Problem& problem, const fs::path& file) {
  if (problem.line == 0) return fmt::format("{}: {}", file.string(), problem.message);
  return fmt::format("{}:{}:{}: {}", file.string(), problem.line, problem.column, problem.message);
}

Configuration parse_configuration(std::string_view text, const fs::path& base) {
  if (const auto deep = find_deep_key(text)) {
    return {{}, {{deep->line, deep->column, "a key has too many parts"}}, {}};
  }
  try {
    return Loader(base).load(toml::parse(text));
  } catch (const toml::parse_error& error) {
    const auto& begin = error.source().begin;
    return {{}, {{begin.line, begin.column, std::string(error.description())}}, {}};
  }
}

Result<std::string> read_configuration(const fs::path& file) {
  return read_configuration_text(file, stop_on_signals());
}

Result<Settings> load_configuration(const fs::path& file) {
  const auto text = read_configuration(file);
  if (!text) return text.error();
  Configuration loaded = parse_configuration(*text, file.parent_path());
  for (const Problem& warning : loaded.warnings) {
    log::warning("configuration", {{"at", to_string(warning, file)}});
  }
  if (loaded.problems.empty()) return std::move(loaded.settings);
  std::string all;
  for (const Problem& problem : loaded.problems) {
    all += (all.empty() ? "" : "\n") + to_string(problem, file);
  }
  return Error{ErrorKind::kInvalid, std::move(all), 0};
}

std::string toml_string(std::string_view text) {
  std::string out = "\"";
  for (const char letter : text) {
    const auto byte = static_cast<unsigned char>(letter);
    if (letter == '"' || letter == '\\') {
      out.append("\\").push_back(letter);
    } else if (byte < 0x20) {
      out += fmt::format("\\u{:04X}", byte);
    } else {
      out.push_back(letter);
    }
  }
  return escape_controls_in_json(out + "\"");  // TOML has the same escapes
}

std::string to_toml(Settings settings) {
  const Scope scope{&settings, nullptr, nullptr, {}};
  std::string out = section_text(Section::kGeneral, scope);
  const auto add_table = [&](Section section) {
    out += fmt::format("\n[{}]\n{}", to_string(section), section_text(section, scope));
  };
  const auto add_entry = [&](Section section, std::string_view name, const Scope& entry) {
    out += fmt::format("\n[{}.{}]\n{}", to_string(section), key_text(name),
                       section_text(section, entry));
  };
  add_table(Section::kLog);
  for (LandingSettings& landing : settings.landings) {
    add_entry(Section::kLanding, landing.name, {&settings, &landing, nullptr, {}});
  }
  add_table(Section::kWatch);
  for (DestinationSettings& destination : settings.destinations) {
    add_entry(Section::kDestination, destination.name, {&settings, nullptr, &destination, {}});
  }
  for (RouteSettings& route : settings.routes) {
    add_entry(Section::kRoute, route.name, {&settings, nullptr, nullptr, {}, &route});
  }
  for (TransformSettings& transform : settings.transforms) {
    add_entry(Section::kTransform, transform.name,
              {&settings, nullptr, nullptr, {}, nullptr, &transform});
  }
  for (ExpectSettings& expect : settings.expected) {
    add_entry(Section::kExpect, expect.name,
              {&settings, nullptr, nullptr, {}, nullptr, nullptr, &expect});
  }
  for (NotifySettings& notify : settings.notified) {
    add_entry(Section::kNotify, notify.name,
              {&settings, nullptr, nullptr, {}, nullptr, nullptr, nullptr, &notify});
  }
  add_table(Section::kTransfer);
  add_table(Section::kServe);
  return out;
}

}  // namespace ferry::app
