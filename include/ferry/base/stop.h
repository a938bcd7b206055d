// Asking a loop to end, from another thread or by SIGINT and SIGTERM; and to read its configuration
// again, by SIGHUP.
#pragma once

#include <atomic>
#include <chrono>

#include "ferry/base/fd.h"

namespace ferry {

/// A flag that can also be waited for. Once set it stays set. All members are thread-safe.
class StopToken {
 public:
  StopToken();
  StopToken(const StopToken&) = delete;
  StopToken& operator=(const StopToken&) = delete;

  void request_stop();  // async-signal-safe
  bool stop_requested() const { return requested_.load(std::memory_order_relaxed); }
  /// Readable (poll(2): POLLIN) from the moment that a stop is requested. Do not read from it.
  int fd() const { return fd_.get(); }

 private:
  std::atomic<bool> requested_{false};
  UniqueFd fd_;  // an eventfd(2)
};

/// Waits; false if a stop came before the time was over.
bool sleep_unless_stopped(std::chrono::milliseconds time, const StopToken& stop);

/// The process's token: SIGINT and SIGTERM set it from the first call on; SIGPIPE is ignored. A
/// second SIGINT ends the process at once.
StopToken& stop_on_signals();

/// That SIGHUP came. All members are thread-safe.
class ReloadRequest {
 public:
  ReloadRequest();

  void request();  // async-signal-safe
  /// Readable (poll(2): POLLIN) while a request waits to be taken.
  int fd() const { return fd_.get(); }
  /// True once for all requests so far.
  bool take();

 private:
  UniqueFd fd_;  // an eventfd(2)
};

/// The process's request: SIGHUP makes it from the first call on, and ends nothing any more.
ReloadRequest& reload_on_hangup();

}  // namespace ferry
