// What systemd is told (sd_notify(3)). Nothing happens where no service manager listens.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "ferry/base/fd.h"

namespace ferry::app::service_manager {

void tell_ready();
void tell_reloading();  // until tell_ready
void tell_stopping();
void tell_alive();
/// One line for `systemctl status`.
void tell_status(const std::string& status);

/// The sockets that it passes on to us (sd_listen_fds(3)), once.
std::vector<UniqueFd> take_sockets();

/// tell_alive is expected this often; nothing: never.
std::optional<std::chrono::milliseconds> watchdog_interval();

}  // namespace ferry::app::service_manager
