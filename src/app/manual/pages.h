// The pages of the manual.
#pragma once

#include <string>
#include <string_view>

namespace ferry::app::manual {

/// ferry(1) and ferry.toml(5), in mdoc. DATE as in Mdoc.
std::string command_page(std::string_view date);
std::string configuration_page(std::string_view date);

/// docs/configuration.md.
std::string configuration_markdown();

}  // namespace ferry::app::manual
