// What a quarantine notes of a file that a person let go, from before it is moved until it is
// registered: whoever finds it in its place meanwhile does not hold it again. Pure.
//
//   QUARANTINE/<device>-<inode>-<size>-<mtime>.released
//   {"id": "…", "path": "a/b.csv", "checksum": "sha256:…", "reason": "…"}
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "ferry/base/file.h"
#include "ferry/base/hash.h"

namespace ferry::landing {

struct ReleaseMark {
  std::string id{};    // what was held: the registry's id, or one of the quarantine's own
  std::string path{};  // where it goes to, below the area
  Checksum checksum{};
  std::string reason{};  // for the new row: why it had been held
};

inline constexpr std::string_view kReleaseMarkSuffix = ".released";

/// The same before and after the file is moved.
std::string release_mark_name(const FileIdentity& identity);

std::string to_text(const ReleaseMark& mark);

/// Nothing if TEXT is not a mark.
std::optional<ReleaseMark> parse_release_mark(std::string_view text);

}  // namespace ferry::landing
