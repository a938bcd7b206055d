// What this process wrote and did not put on stable storage: what it loses when the power fails.
#pragma once

#include <cstdint>

namespace ferry::crash {

/// After a write of SIZE bytes that ended at END.
void note_written(int fd, std::uint64_t end, std::uint64_t size);

/// After an fsync(2) or fdatasync(2).
void note_synced(int fd);

/// Makes zeros of it. Names are kept: the usual file systems write their metadata in order.
void lose_unsynced();

}  // namespace ferry::crash
