// Text for a terminal.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace ferry::app {

/// Names come from strangers: control characters (C0, DEL, and C1 in UTF-8) become \xNN, so that
/// no name can move the cursor or forge a line.
std::string escape_controls(std::string_view text);

/// The known word that WORD most probably was meant to be, if any is near enough.
std::optional<std::string_view> closest(std::string_view word,
                                        std::span<const std::string_view> known);

/// "; did you mean 'X'?" or nothing.
std::string suggestion(std::string_view word, std::span<const std::string_view> known,
                       std::string_view prefix = "");

}  // namespace ferry::app
