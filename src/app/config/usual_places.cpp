#include "app/config/usual_places.h"

#include <boost/filesystem/operations.hpp>
#include <cstdlib>

namespace ferry::app {

std::optional<std::string> environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return std::string(value);
}

fs::path working_directory() {
  boost::system::error_code ignored;
  return fs::current_path(ignored);
}

fs::path absolute_path(const std::string& word) {
  fs::path path(word);
  return path.is_absolute() ? path : working_directory() / path;
}

std::string default_metastore() {
  if (const auto state = environment("XDG_STATE_HOME"); state && state->starts_with('/')) {
    return *state + "/ferry";
  }
  const auto home = environment("HOME");
  return home && home->starts_with('/') ? *home + "/.local/state/ferry" : "";
}

fs::path own_configuration_file() {
  if (const auto given = environment("XDG_CONFIG_HOME"); given && given->starts_with('/')) {
    return fs::path(*given) / "ferry/ferry.toml";
  }
  const auto home = environment("HOME");
  const bool is_absolute = home && home->starts_with('/');
  return is_absolute ? fs::path(*home) / ".config/ferry/ferry.toml" : fs::path();
}

fs::path configuration_file(const Arguments& arguments) {
  const auto given = arguments.last("config");
  const auto name = given ? given : environment("FERRY_CONFIG");
  if (name) return absolute_path(*name);
  for (const fs::path& usual : {own_configuration_file(), fs::path("/etc/ferry/ferry.toml")}) {
    boost::system::error_code error;
    const auto status = usual.empty() ? fs::file_status() : fs::status(usual, error);
    // What cannot be looked at is there, perhaps: whoever reads it says why not.
    const bool is_absent = usual.empty() || status.type() == fs::file_not_found;
    if (!is_absent) return usual;
  }
  return {};
}

}  // namespace ferry::app
