// The text of a quarantine's note: one JSON object. Pure.
//
//   {"id": "…", "landing": "in", "path": "a/b.csv", "reason": "it is empty", "kind": "file",
//    "since": "2026-11-22T13:40:00.123Z", "size": 0, "registered": true}
//
// A path that is not UTF-8 is written readably, and as it is in hexadecimal digits ("path_bytes").
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "ferry/landing/quarantine.h"

namespace ferry::landing {

std::string to_note(const HeldFile& file);

/// Nothing if TEXT is not a note. What a note says is not to be trusted: others may write there.
std::optional<HeldFile> parse_note(std::string_view text);

}  // namespace ferry::landing
