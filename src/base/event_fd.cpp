#include "ferry/base/event_fd.h"

#include <sys/eventfd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <system_error>
#include <thread>

#include "ferry/base/log.h"

namespace ferry {
namespace {

constexpr int kTries = 20;
constexpr std::chrono::milliseconds kPause{50};

}  // namespace

UniqueFd make_event_fd() {
  for (int i = 0; i < kTries; ++i) {
    UniqueFd fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (fd.get() >= 0) return fd;
    std::this_thread::sleep_for(kPause);
  }
  log::error("no descriptor to wake a thread with",
             {{"error", std::generic_category().message(errno)}, {"next", "the process ends"}});
  std::abort();
}

}  // namespace ferry
