#include "ferry/base/writers.h"

#include <fcntl.h>
#include <signal.h>

#include <cerrno>

namespace ferry {

Writers writers_of(int fd) {
  if (::fcntl(fd, F_SETLEASE, F_RDLCK) != 0) {
    return errno == EAGAIN ? Writers::kSome : Writers::kUnknown;
  }
  ::fcntl(fd, F_SETLEASE, F_UNLCK);
  return Writers::kNone;
}

LeaseSignalGuard::LeaseSignalGuard() : previous_(::signal(SIGIO, SIG_IGN)) {}

LeaseSignalGuard::~LeaseSignalGuard() {
  if (previous_ != SIG_ERR) ::signal(SIGIO, previous_);
}

}  // namespace ferry
