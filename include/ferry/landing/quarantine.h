// Abnormal files that were moved aside, and what a person can do about them.
//
//   QUARANTINE/<id>/<name>   the file under its own name; QUARANTINE is .quarantine in the area
//   QUARANTINE/<id>.json     a note: where the file came from and why it is here
//   QUARANTINE/….released    a mark of a file that is on its way back
//
// A note is durable before its file is moved. What a watcher refuses is registered as quarantined
// before that; wherever a crash cuts it short the file is in one place, whole, and the next rescan
// goes on. What the registry cannot know (a symbolic link, a name that is not UTF-8) has its note
// alone.
//
// In an area on a server nothing is moved: a held file stays where it landed, its row says
// quarantined, and it is released under its own name.
//
// Nothing is followed: all paths are resolved below the landing area without symbolic links
// (openat2(2)), and renamed between opened directories (renameat2(2)). The quarantine belongs to
// our account alone.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ferry/base/file.h"
#include "ferry/base/json.h"
#include "ferry/base/outcome.h"
#include "ferry/base/result.h"
#include "ferry/base/stop.h"
#include "ferry/base/time.h"
#include "ferry/landing/watch.h"
#include "ferry/metastore/metastore.h"

namespace ferry::landing {

struct HeldFile {
  std::string id{};       // the registry's; of what it does not know: one of its own
  std::string landing{};  // the area's name
  std::string path{};     // where it was, below the area; as it is on disk: not always UTF-8
  std::string reason{};
  std::string kind{};  // "file", "symbolic link", "FIFO", "socket", "device"
  Timestamp since{};
  std::uint64_t size = 0;
  bool registered = false;                 // the registry knows it
  std::optional<FileIdentity> identity{};  // as registered
  fs::path location{};  // where it is now; empty: neither there nor in its old place
  /// It is not found, but may be there: what it was on is not, perhaps a file system that is not
  /// mounted.
  bool out_of_sight = false;
  bool replaced = false;  // it was never moved, and another file has its place now
};

/// What programs are told of it, but for where it lies.
Json to_json(const HeldFile& file);

/// Keeps a registered file that turned out abnormal out of the stream: moves it aside and registers
/// it as quarantined. False, and nothing done, if FILE's identity is not that of the file in its
/// place, which is the watcher's matter then; also without an identity, and for areas on servers or
/// if nothing is moved.
/// An error of the move leaves the file where it is, registered as quarantined.
Result<bool> quarantine(metastore::Metastore& metastore, const LandingArea& area,
                        const metastore::FileRecord& file, std::string_view reason);

/// All that AREAS hold, oldest first.
ferry::Outcome<std::vector<HeldFile>> held_files(metastore::Metastore& metastore,
                                                 std::span<const LandingArea> areas);

/// Puts HELD back, to PATH in AREA, and registers it anew; what was never moved is ready again,
/// with the id that it has. Returns the record, whose reason tells why it had been held. The area's
/// policy does not hold the same bytes again, whoever registers them. Doing it again after a crash
/// completes it. Errors: kAbnormal if it is no regular file, kInvalid if PATH is taken or no name
/// for a file, kBusy if another file took its place. Of an area on a server: kFailed if its
/// place has another version, or none, or the registry has a newer one; and the errors of
/// sftp::connect.
ferry::Outcome<metastore::FileRecord> release(metastore::Metastore& metastore,
                                              const LandingArea& area, const HeldFile& held,
                                              const std::string& path, StopToken& stop);

/// Where the abnormal files of the directory AREA are moved to, if it has CONFIGURED or nothing.
fs::path quarantine_path(const fs::path& area, const fs::path& configured);

/// Whether ERROR, of a release, says that PATH is taken or no name for a file.
bool wants_another_name(const Error& error);
/// Whether it is taken.
bool is_name_taken(const Error& error);

/// Completes what a crash cut short of releases: files that are in their place and registered are
/// held no more. Only errors of METASTORE.
Result<void> finish_releases(metastore::Metastore& metastore, const LandingArea& area);

/// Deletes HELD for good; its row says so. What has its place now, or is registered as a newer
/// version, stays. kIo if it is out of sight. Of an area on a server also
/// the errors of sftp::connect.
ferry::Outcome<void> drop(metastore::Metastore& metastore, const LandingArea& area,
                          const HeldFile& held, StopToken& stop);

}  // namespace ferry::landing
