// UUID version 7 (RFC 9562): time-ordered, so that ids sort by when they were made.
#pragma once

#include <string>

namespace ferry {

/// A new UUID in its 36-character form. Thread-safe; within a process each is greater than the
/// one before.
std::string uuid_v7();

}  // namespace ferry
