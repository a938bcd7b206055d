// The configuration file (TOML).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "app/config/settings.h"

namespace ferry::app {

/// A mistake in a configuration file and where it is; lines and columns count from 1, 0: unknown.
struct Problem {
  std::uint32_t line = 0;
  std::uint32_t column = 0;
  std::string message;
};

/// "FILE:LINE:COLUMN: MESSAGE".
std::string to_string(const Problem& problem, const fs::path& file);

struct Configuration {
  Settings settings;
  std::vector<Problem> problems;  // in the order of the file
  std::vector<Problem> warnings;  // what is understood, and should be written otherwise
};

/// The text of FILE, see read_configuration_text; the process's stop ends it.
Result<std::string> read_configuration(const fs::path& file);

/// Reads TEXT; relative paths in it start at BASE.
Configuration parse_configuration(std::string_view text, const fs::path& base);

/// Reads FILE. kInvalid with all problems, one a line, if there are any.
Result<Settings> load_configuration(const fs::path& file);

/// TEXT as TOML writes a string.
std::string toml_string(std::string_view text);

/// The settings as a configuration file. Secrets appear as the names of their files only.
std::string to_toml(Settings settings);

}  // namespace ferry::app
