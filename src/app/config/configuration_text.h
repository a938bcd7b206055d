// The text of a configuration file, before anybody understands it. Whoever names a file may name
// anything.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "ferry/base/file.h"
#include "ferry/base/result.h"
#include "ferry/base/stop.h"

namespace ferry::app {

/// Of a file, or of a pipe such as <(command): waits for who writes it until STOP comes, which is
/// kCancelled. kInvalid if it is larger than any configuration, and for what keeps it from being
/// read.
Result<std::string> read_configuration_text(const fs::path& file, const StopToken& stop);

struct TextPosition {
  std::uint32_t line = 1;
  std::uint32_t column = 1;
};

/// The first key that has more parts (a.b.c) than any that means something; nothing: none has. What
/// parses TOML goes as deep as its keys do.
std::optional<TextPosition> find_deep_key(std::string_view text);

}  // namespace ferry::app
