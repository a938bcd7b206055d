// UUID version 7 (RFC 9562): time-ordered, so that ids sort by when they were made.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "ferry/base/time.h"

namespace ferry {

/// A new UUID in its 36-character form. Thread-safe; within a process each is greater than the
/// one before.
std::string uuid_v7();

/// True for what could be one, of any version, in lower case: nothing that leads out of a
/// directory.
bool is_uuid(std::string_view text);

/// When a UUID of version 7 was made; nothing for any other text.
std::optional<Timestamp> time_of_uuid(std::string_view uuid);

}  // namespace ferry
