// Words that people type.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace ferry::app {

/// The known word that WORD most probably was meant to be, if any is near enough.
std::optional<std::string_view> closest(std::string_view word,
                                        std::span<const std::string_view> known);

/// "; did you mean 'X'?" or nothing.
std::string suggestion(std::string_view word, std::span<const std::string_view> known,
                       std::string_view prefix = "");

}  // namespace ferry::app
