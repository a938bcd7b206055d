// Words that people type.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "ferry/base/result.h"

namespace ferry::app {

/// True for a shell pattern with a '[' that no ']' closes: fnmatch(3) takes it for the character.
bool has_open_bracket(std::string_view pattern);

/// The known word that WORD most probably was meant to be, if any is near enough.
std::optional<std::string_view> closest(std::string_view word,
                                        std::span<const std::string_view> known);

/// "; did you mean 'X'?" or nothing.
std::string suggestion(std::string_view word, std::span<const std::string_view> known,
                       std::string_view prefix = "");

/// WORD as it is typed in a shell: as it is, if that is plain.
std::string quoted_for_shell(const std::string& word);

/// That NAME is fit for a landing area, a destination, a route and the like: it is shown in lines,
/// typed on command lines, and stands before a '/' in what tokens are good for. kInvalid.
Result<void> check_name(std::string_view name);

}  // namespace ferry::app
