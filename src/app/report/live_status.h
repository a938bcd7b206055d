// `ferry status --live`: the screen that it draws.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "ferry/base/agent_progress.h"

namespace ferry::app {

enum class Screen : std::uint8_t {
  kCleared,    // a terminal's
  kContinued,  // what a file or a pipe gets, without a terminal's commands
};
Screen screen_of_output();

/// Shows COUNTS and below them a bar for each agent that has something to do. Pure.
std::string live_screen(std::string_view counts, std::span<const AgentProgress> agents,
                        std::size_t width, Screen screen);

/// Of the terminal at standard output; 80 if it is none.
std::size_t terminal_width();

}  // namespace ferry::app
