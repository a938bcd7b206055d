// What control files are called, and what must not be called like them.
#pragma once

#include <string_view>

#include "ferry/base/result.h"
#include "ferry/transfer/agent.h"

namespace ferry::transfer {

/// True for a name that one of DESTINATION's control files, its signature (also if none is made
/// now), or a part of either could have, whatever the case of its letters. A receiver would take
/// such a file for the proof of a batch, and control_keep removes it: no delivered file gets one.
bool is_name_of_control_files(const Destination& destination, std::string_view name);

/// kAbnormal if no delivered file may have the remote path PATH: it is too long, or that of a part
/// file, of a control file in CONTROL_DIRECTORY, or of a sidecar below DIRECTORY, or has a
/// directory that would be in the way of one.
Result<void> check_remote_name(const Destination& destination, std::string_view directory,
                               std::string_view control_directory, std::string_view path);

}  // namespace ferry::transfer
