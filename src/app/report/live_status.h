// `ferry status --live`: the screen that it draws.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "ferry/base/agent_progress.h"

namespace ferry::app {

/// Clears the terminal, and shows COUNTS and below them a bar for each agent that has something to
/// do. Pure.
std::string live_screen(std::string_view counts, std::span<const AgentProgress> agents,
                        std::size_t width);

/// Of the terminal at standard output; 80 if it is none.
std::size_t terminal_width();

}  // namespace ferry::app
