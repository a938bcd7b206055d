// Does anybody have a file open for writing, or mapped?
#pragma once

#include <cstdint>

namespace ferry {

enum class Writers : std::uint8_t {
  kNone,  // as long as nobody opens it, and changes its times by writing
  kSome,
  kUnknown,  // not our file and no CAP_LEASE, or a file system without leases
};

/// FD must be open for reading only. Asks for a read lease (fcntl(2), F_SETLEASE), which the kernel
/// grants only if there is no writer, and gives it back at once.
Writers writers_of(int fd);

/// A process that opens the file for writing in the moment that we hold its lease causes a SIGIO
/// for us, which would end the process. While an object of this class lives, it is ignored.
class LeaseSignalGuard {
 public:
  LeaseSignalGuard();
  LeaseSignalGuard(const LeaseSignalGuard&) = delete;
  LeaseSignalGuard& operator=(const LeaseSignalGuard&) = delete;
  ~LeaseSignalGuard();

 private:
  void (*previous_)(int);
};

}  // namespace ferry
