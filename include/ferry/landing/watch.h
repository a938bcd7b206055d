// Registers every file that lands in a landing area.
//
//   inotify(7) bytes → decode → events → settle policy → inspect → hash → judge → register
//
// Start-up, a queue overflow, a lost or re-created root and a timer all lead to the same rescan,
// which compares what is there with the registry. What happens is logged, one line per event.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ferry/base/acceptance.h"
#include "ferry/base/file.h"
#include "ferry/base/outcome.h"
#include "ferry/base/result.h"
#include "ferry/base/stop.h"
#include "ferry/metastore/metastore.h"
#include "ferry/sftp/connect.h"

namespace ferry::landing {

/// Parts of a landing area, by their paths relative to it.
struct AreaParts {
  std::vector<std::string> files = {};
  std::vector<std::string> directories = {};  // with all that lies in them

  bool operator==(const AreaParts&) const = default;
};

/// Where abnormal files of a landing area are, unless it says where.
inline constexpr const char* kDefaultQuarantine = ".quarantine";

struct LandingArea {
  std::string name;  // what the registry's `landing` column says
  fs::path path;
  /// Globs (fnmatch(3)) never registered, matched against the file's name and its relative path;
  /// besides dot files, *.tmp, *.part and *.filepart.
  std::vector<std::string> ignore;
  /// How long a file must have been left alone if the kernel cannot tell whether somebody still
  /// has it open for writing (leases: fcntl(2), F_SETLEASE).
  std::chrono::milliseconds settle = std::chrono::seconds(2);
  /// What files must be like. Others are registered as quarantined and moved aside.
  AcceptancePolicy acceptance = {};
  /// Where abnormal files are moved to; on the same file system, and not where this or another area
  /// would see it, nor another's. Empty: kDefaultQuarantine below the area.
  fs::path quarantine = {};
  /// A file that is still being written after this long is complained of.
  std::chrono::milliseconds unsettled_after = std::chrono::hours(1);
  /// Where it lies on a server, instead of PATH: it is looked at every poll_interval, and a file is
  /// settled when it was the same at two looks that are SETTLE apart. No command can validate files
  /// there, and nothing is moved aside: what is refused is registered as quarantined in its place.
  std::optional<sftp::Location> location = std::nullopt;
  /// Nothing else of the area is looked at. Not for areas on servers.
  std::optional<AreaParts> only = std::nullopt;
  /// False: abnormal files stay where they are, and are told of.
  bool moves_aside = true;

  bool is_remote() const { return location.has_value(); }
  bool can_move_aside() const { return moves_aside && !is_remote(); }

  bool operator==(const LandingArea&) const = default;
};

struct WatchOptions {
  std::vector<LandingArea> areas;
  std::chrono::milliseconds rescan_interval = std::chrono::minutes(5);
  /// In place of rescan_interval on file systems without events (NFS, SMB, FUSE).
  std::chrono::milliseconds poll_interval = std::chrono::seconds(10);
  std::size_t hash_threads = 0;  // 0: as many as there are processors, at most 8
  bool once = false;             // register what is there, then end
  /// A thread that is busy for longer without any progress hangs. More than the metastore's
  /// lock_timeout.
  std::chrono::milliseconds patience = std::chrono::minutes(1);
};

/// Life signs for a service manager; called on the watching thread.
struct WatchHooks {
  /// All directories of all areas are watched: nothing that happens from now on is missed. The
  /// files that were there before are still being registered.
  std::function<void()> on_ready;
  /// At least every alive_interval, as long as every thread makes progress.
  std::function<void()> on_alive;
  std::chrono::milliseconds alive_interval = std::chrono::seconds(10);
};

/// What was passed over because of its name, by the rule that did.
struct IgnoredCounts {
  std::uint64_t hidden = 0;              // files whose names begin with '.'
  std::uint64_t hidden_directories = 0;  // with all that lies in them
  std::uint64_t unfinished = 0;          // *.tmp, *.part, *.filepart
  std::uint64_t by_glob = 0;             // LandingArea::ignore

  std::uint64_t all() const { return hidden + hidden_directories + unfinished + by_glob; }
  IgnoredCounts& operator+=(const IgnoredCounts& other);
};

struct WatchSummary {
  std::uint64_t registered = 0;   // records inserted
  std::uint64_t bytes = 0;        // hashed
  std::uint64_t quarantined = 0;  // moved aside
  std::uint64_t unsettled = 0;    // left because they were still being written (with once)
  std::uint64_t failed = 0;       // could not be read, or not be judged
  IgnoredCounts ignored = {};     // by the last rescan
};

/// A watcher whose areas may change while it runs.
class Watcher {
 public:
  virtual ~Watcher() = default;

  /// Runs until STOP is requested, or a RELOAD waits to be taken, or with once until everything
  /// there is registered. Between two runs nothing is missed: the kernel keeps the events. Fails if
  /// the metastore does; with once also if an area goes away, or its server does.
  virtual ferry::Outcome<WatchSummary> run(metastore::Metastore& metastore, const WatchHooks& hooks,
                                           StopToken& stop, ReloadRequest& reload) = 0;

  /// Between two runs: watches these areas from now on. One that stays as it is goes on without a
  /// rescan. kNotFound or kDenied for a new area that cannot be watched; then nothing has changed.
  virtual Result<void> change(WatchOptions options) = 0;
};

/// Errors: kNotFound or kDenied for an area that cannot be watched.
Result<std::unique_ptr<Watcher>> open_watcher(WatchOptions options);

/// One run of a watcher, without reloads.
ferry::Outcome<WatchSummary> watch(metastore::Metastore& metastore, const WatchOptions& options,
                                   const WatchHooks& hooks, StopToken& stop);

}  // namespace ferry::landing
