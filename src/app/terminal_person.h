// The person at the terminal, who is asked about host keys and for passwords.
#pragma once

#include <string>

#include "ferry/base/stop.h"

namespace ferry::app {

/// From now on connections ask the person at the terminal, if there is one: standard error is a
/// terminal, and the process's own. A stop takes each question back; STOP outlives the connections.
void ask_at_terminal(const StopToken& stop);

/// The answer to QUESTION, or FALLBACK if that is empty; the latter also without a terminal, and
/// after a stop.
std::string answer_to(const std::string& question, const std::string& fallback,
                      const StopToken& stop);

}  // namespace ferry::app
