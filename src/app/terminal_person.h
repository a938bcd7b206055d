// The person at the terminal, who is asked about host keys and for passwords.
#pragma once

#include <string>

namespace ferry::app {

/// From now on connections ask the person at the terminal, if there is one: standard error is a
/// terminal, and the process's own.
void ask_at_terminal();

/// Asks QUESTION, to be answered with yes or no.
bool confirms(const std::string& question);

/// The answer to QUESTION, or FALLBACK if that is empty; the latter also without a terminal.
std::string answer_to(const std::string& question, const std::string& fallback);

}  // namespace ferry::app
