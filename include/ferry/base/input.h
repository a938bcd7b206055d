// What a user names to be read: a file, or a pipe such as <(command), which may keep its reader
// waiting. A stop ends that at once (kCancelled).
#pragma once

#include <cstddef>
#include <string>

#include "ferry/base/fd.h"
#include "ferry/base/file.h"
#include "ferry/base/result.h"
#include "ferry/base/stop.h"

namespace ferry {

/// Waits until a read(2) of FD, which may be non-blocking, has something, or the end.
Result<void> wait_until_readable(int fd, const StopToken& stop);

/// Opens PATH for reading, non-blocking: nobody has written to a FIFO yet. Waits while somebody
/// holds a lease on the file (fcntl(2)).
Result<UniqueFd> open_input(const fs::path& path, const StopToken& stop);

/// All that comes from FD. kInvalid if it is more than MOST bytes.
Result<std::string> read_input(int fd, const fs::path& path_for_messages, std::size_t most,
                               const StopToken& stop);
Result<std::string> read_input(const fs::path& path, std::size_t most, const StopToken& stop);

}  // namespace ferry
