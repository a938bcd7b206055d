// Examples that --help and the manual show of a command.
#pragma once

#include <span>
#include <string_view>

namespace ferry::app {

struct Example {
  std::string_view line;
  std::string_view meaning;
};

/// None for a command that nobody needs an example of.
std::span<const Example> examples_of(std::string_view command);

}  // namespace ferry::app
