// What is to happen at which call: a file that the campaign and the processes under test map.
// tests/crash/faults.py writes it; the layout is the same there.
#pragma once

#include <cstdint>

namespace ferry::crash {

/// Kinds of calls; one call may be of several.
enum Call : std::uint32_t {
  kCreate = 1U << 0,  // makes a file, a directory or another name for a file; cuts one to nothing
  kWrite = 1U << 1,   // changes a file's bytes or size
  kRename = 1U << 2,  // gives a name
  kRemove = 1U << 3,  // takes a name away
  kSync = 1U << 4,    // puts on stable storage
  kAttribute = 1U << 5,   // mode, owner, times
  kLock = 1U << 6,        // flock(2), fcntl(2) locks and leases
  kWatch = 1U << 7,       // inotify_add_watch(2)
  kSend = 1U << 8,        // connects or sends over the network
  kDescriptor = 1U << 9,  // makes a descriptor
  kOpen = 1U << 10,       // opens a file
  kLook = 1U << 11,       // looks whether something is there, what it is, or what is in it
};

enum class Action : std::uint32_t {
  kNone,       // only count
  kKill,       // SIGKILL before the call
  kKillAfter,  // SIGKILL after it
  kStop,       // SIGSTOP before the call
  kFail,       // do nothing and fail with `error`
  kTear,       // of a write the first half, then SIGKILL
  kPowerLoss,  // SIGKILL before the call, and what was not synced is zeros (unsynced.h)
};

struct Plan {
  static constexpr std::size_t kSize = 1U << 20;
  static constexpr std::size_t kEntriesAt = 4096;
  static constexpr std::size_t kEntryBytes = 256;
  static constexpr std::size_t kEntries = (kSize - kEntriesAt) / kEntryBytes;

  std::uint64_t at;          // the call that it happens at, from 1; 0: none
  std::uint32_t action;      // Action
  std::uint32_t error;       // errno for kFail
  std::uint32_t calls;       // Call: which ones count
  std::uint32_t persistent;  // 1: all later calls of this process fail as well
  std::uint64_t count;       // calls so far, over all threads and processes
  std::uint64_t fired;       // how often it happened
  std::uint32_t fired_pid;
  std::uint32_t reserved;
  char below[80];  // files count if their paths have this in them
};

}  // namespace ferry::crash
