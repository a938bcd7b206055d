// Delivering again and again, as files are registered (transfer --follow).
//
//   run what is due ──> something was there: run again
//         ^        └──> wait: rows were added, a destination is due again, or half a minute is over
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "ferry/base/result.h"
#include "ferry/base/stop.h"
#include "ferry/metastore/metastore.h"

namespace ferry::app {

/// When to try a destination again that could not be reached. Pure: time comes from the caller.
class Patience {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::seconds kFirst{5};
  static constexpr std::chrono::seconds kLongest{300};

  bool is_due(Clock::time_point now) const { return now >= next_; }
  Clock::time_point next() const { return next_; }
  void reached();
  /// Returns how long to wait.
  std::chrono::seconds failed(Clock::time_point now);

 private:
  Clock::time_point next_{};
  std::chrono::seconds wait_ = kFirst;
};

struct FollowOptions {
  std::size_t destinations = 0;
  /// One run to the destination of this number; how many files it had to deliver.
  std::function<Result<std::uint64_t>(std::size_t destination)> run;
  /// The run to a destination ended with ERROR; it is tried again after WAIT.
  std::function<void(std::size_t destination, const Error& error, std::chrono::seconds wait)>
      on_error;
  std::function<void()> on_waiting;  // all that is due is done
  /// End where nothing has been pending for this long.
  std::optional<std::chrono::milliseconds> exit_when_idle;
};

enum class FollowEnd : std::uint8_t { kStopped, kReload, kIdle };

/// Errors: those of a metastore that cannot be read any more.
Result<FollowEnd> follow(metastore::Metastore& store, const FollowOptions& options,
                         const StopToken& stop, ReloadRequest& reload);

}  // namespace ferry::app
