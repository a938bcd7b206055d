// What control files are called, and what must not be called like them.
#pragma once

#include <string_view>

#include "ferry/transfer/agent.h"

namespace ferry::transfer {

/// True for a name that one of DESTINATION's control files could have, whatever the case of its
/// letters. A receiver would take such a file for the proof of a batch.
bool is_name_of_control_files(const Destination& destination, std::string_view name);

/// The same of what is pushed beside files; also of directories in PATH, which would be in the way
/// of one.
bool has_name_of_sidecars(const Destination& destination, std::string_view path);

}  // namespace ferry::transfer
