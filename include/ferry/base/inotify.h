// The kernel's event queue: raw bytes in, plain events out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ferry/base/fd.h"
#include "ferry/base/result.h"

namespace ferry {

enum class EventKind : std::uint8_t {
  kWritten,      // a writer closed it
  kCreated,      // reported for directories and files; only directories matter
  kMovedIn,      // renamed to this name
  kMovedOut,     // renamed away from this name
  kDeleted,      // this name is gone
  kModified,     // something was written to it
  kSelfDeleted,  // the watched directory is gone
  kSelfMoved,    // the watched directory has another name now
  kUnmounted,    // its file system is gone
  kUnwatched,    // the kernel dropped the watch
  kOverflow,     // events were lost
  kOther,
};

struct InotifyEvent {
  EventKind kind = EventKind::kOther;
  int watch = -1;          // -1 with kOverflow
  bool directory = false;  // NAME is a directory
  std::string name{};      // within the watched directory; empty if the event is about itself
};

struct Decoded {
  std::vector<InotifyEvent> events;
  bool truncated = false;  // the bytes end within an event
};

/// Reads what read(2) on an inotify descriptor delivers. Pure.
Decoded decode(std::span<const std::byte> bytes);

class Inotify {
 public:
  static Result<Inotify> create();

  int fd() const { return fd_.get(); }

  /// Watches a directory; the last component of PATH must not be a symbolic link. The same
  /// directory gives the same number each time. Error::os_code is ENOSPC at the kernel's limit.
  Result<int> watch_directory(const std::string& path);
  /// Watches for what is written to one file, and for names that come to a directory.
  Result<int> watch_writes(const std::string& path);
  Result<int> watch_names(const std::string& path);
  void unwatch(int watch);

  /// All that is queued now, without waiting. A damaged buffer reads as an overflow.
  Result<std::vector<InotifyEvent>> read_events();

 private:
  explicit Inotify(UniqueFd fd) : fd_(std::move(fd)) {}
  Result<int> watch(const std::string& path, std::uint32_t mask);

  UniqueFd fd_;
};

}  // namespace ferry
