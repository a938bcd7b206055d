// Delivered files whose sources could not be archived or deleted, as the last run of this host left
// them. Nobody else knows: the tables say that the files are delivered.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ferry/base/file.h"
#include "ferry/base/json.h"
#include "ferry/base/time.h"

namespace ferry {

struct Untaken {
  std::uint64_t files = 0;
  std::string path{};  // of one of them; empty: a server of all of them does not answer
  std::string message{};
  Timestamp since{};

  /// "2 delivered files could not be archived or deleted", and why.
  std::string to_text() const;
};

Json to_json(const Untaken& untaken);

/// What NOTE says; nothing if there is none, or it cannot be read.
std::optional<Untaken> read_untaken(const fs::path& note);

/// SINCE stays that of a previous note. No files: the note goes.
Result<void> write_untaken(const fs::path& note, Untaken untaken);

}  // namespace ferry
