// What threads wake each other with.
#pragma once

#include "ferry/base/fd.h"

namespace ferry {

/// An eventfd(2), non-blocking, at 0. Who waits for one that could not be made would wait for ever:
/// it is tried again for a while, and then the process ends with a message.
UniqueFd make_event_fd();

}  // namespace ferry
