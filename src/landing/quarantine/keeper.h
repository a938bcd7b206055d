// How a landing area keeps what is held there: moved aside here, in its place on a server.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ferry/landing/quarantine.h"

namespace ferry::landing {

/// Of one area. The functions do what those of quarantine.h say.
class Keeper {
 public:
  virtual ~Keeper() = default;

  /// FILE, which the registry knows, is held from now on.
  virtual Result<bool> hold(const metastore::FileRecord& file, std::string_view reason) = 0;

  /// What was moved aside.
  virtual Result<std::vector<HeldFile>> moved() = 0;
  /// Notes in FILE where it lies, which is not among those.
  virtual Result<void> locate(HeldFile& file) = 0;

  virtual ferry::Outcome<metastore::FileRecord> release(const HeldFile& held,
                                                        const std::string& path,
                                                        StopToken& stop) = 0;
  virtual Result<void> finish_releases() = 0;
  virtual ferry::Outcome<void> drop(const HeldFile& held, StopToken& stop) = 0;
};

/// AREA and METASTORE must outlive it.
std::unique_ptr<Keeper> keep_aside(metastore::Metastore& metastore, const LandingArea& area);
std::unique_ptr<Keeper> keep_in_place(metastore::Metastore& metastore, const LandingArea& area);

// What both do with the registry.

HeldFile to_held(const metastore::FileRecord& file);

Result<void> set_state(metastore::Metastore& metastore, std::string_view id,
                       metastore::FileState state, std::string_view reason);
ferry::Outcome<void> set_dropped(metastore::Metastore& metastore, const HeldFile& held);
Result<void> set_released(metastore::Metastore& metastore, std::string_view held,
                          std::string_view released);

/// The row of a file that is still held.
ferry::Outcome<metastore::FileRecord> row_of(metastore::Metastore& metastore, const HeldFile& held);

/// For the row of what is released.
std::string released_reason(const HeldFile& held);

/// The id of the latest version of the path of HELD, unless that is HELD.
ferry::Outcome<std::optional<std::string>> newer_version(metastore::Metastore& metastore,
                                                         const metastore::FileRecord& held);

/// That the registry has no newer version of the path of HELD: a release replaces none.
ferry::Outcome<void> check_newest(metastore::Metastore& metastore,
                                  const metastore::FileRecord& held);

/// HELD, which was never moved, is ready from now on, with the id that it has: whatever is
/// registered meanwhile is newer.
ferry::Outcome<metastore::FileRecord> let_go(metastore::Metastore& metastore, const HeldFile& held);

/// Enters a file that was moved back to its place, with an id of its own; HELD is held no more.
ferry::Outcome<metastore::FileRecord> register_released(metastore::Metastore& metastore,
                                                        metastore::FileRecord record,
                                                        const HeldFile& held);

}  // namespace ferry::landing
