#include "app/service_manager.h"

#include <fcntl.h>
#include <systemd/sd-daemon.h>

#include <ctime>

#include "ferry/base/result.h"
#include "ferry/base/text.h"

namespace ferry::app::service_manager {

void tell_ready() {
  ::sd_notify(0, "READY=1");
}

void tell_reloading() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  const std::int64_t microseconds = std::int64_t{time.tv_sec} * 1'000'000 + time.tv_nsec / 1000;
  ::sd_notify(0, fmt::format("RELOADING=1\nMONOTONIC_USEC={}", microseconds).c_str());
}

void tell_stopping() {
  ::sd_notify(0, "STOPPING=1");
}

void tell_alive() {
  ::sd_notify(0, "WATCHDOG=1");
}

void tell_status(const std::string& status) {
  ::sd_notify(0, fmt::format("STATUS={}", escape_controls(status)).c_str());
}

std::vector<UniqueFd> take_sockets() {
  std::vector<UniqueFd> sockets;
  const int count = ::sd_listen_fds(1);
  for (int i = 0; i < count; ++i) {
    sockets.emplace_back(SD_LISTEN_FDS_START + i);
    ::fcntl(sockets.back().get(), F_SETFD, FD_CLOEXEC);
  }
  return sockets;
}

std::optional<std::chrono::milliseconds> watchdog_interval() {
  std::uint64_t microseconds = 0;
  if (::sd_watchdog_enabled(0, &microseconds) <= 0) return std::nullopt;
  return std::chrono::milliseconds(static_cast<std::int64_t>(microseconds / 1000));
}

}  // namespace ferry::app::service_manager
