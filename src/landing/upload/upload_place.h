// Where uploads put files: a landing area, seen from the side of who brings something.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ferry/base/acceptance.h"
#include "ferry/base/file.h"
#include "ferry/base/hash.h"
#include "ferry/base/result.h"
#include "ferry/landing/upload.h"

namespace ferry::landing {

/// A file that is whole, under its temporary name or already under its own. Both are relative to
/// the landing area and lie in the same directory.
struct StagedFile {
  std::string path;
  std::string temporary;
  FileIdentity identity;  // under the temporary name; a rename may change ctime, and no more
  Checksum sha256;
  /// What had the path when it was decided to publish.
  std::optional<FileIdentity> replaces = std::nullopt;
};

/// What a file that is published may replace.
enum class Replace : std::uint8_t {
  kNothing,
  kAnything,
  kWhatWasThere,  // when it was decided: what came since is newer
};

/// A temporary file that is being written; must not outlive its place.
class Staging {
 public:
  virtual ~Staging() = default;
  virtual Result<void> write(std::span<const std::byte> data) = 0;
  /// Puts it on stable storage.
  virtual Result<FileIdentity> finish() = 0;
};

class UploadPlace {
 public:
  virtual ~UploadPlace() = default;

  /// Tells this directory from another one at the same path, such as the mount point of a file
  /// system that is not there: its inode, for devices get other numbers. Nothing: it cannot be
  /// told.
  virtual std::optional<std::uint64_t> root() const { return std::nullopt; }

  /// True: what published files replaced has their temporary names then, and is there until
  /// discard.
  virtual bool can_exchange() const = 0;

  /// Creates the new file TEMPORARY. Missing directories are made.
  virtual Result<std::unique_ptr<Staging>> stage(const std::string& temporary) = 0;

  /// Why POLICY refuses a staged file of LANDING; nothing if it does not.
  virtual Result<std::optional<std::string>> judge(const StagedFile& file,
                                                   const AcceptancePolicy& policy,
                                                   const std::string& landing,
                                                   const StopToken& stop) = 0;

  /// Gives all files their names, durably. On an error none has its name, unless the connection to
  /// the place was lost, or discard says that it could not be undone. Files that have their names
  /// already are left alone: it may be repeated. What they replaced may have a temporary name then.
  /// kFailed if something has a name that may not be replaced, kNotFound if a file had its name
  /// before and has not now.
  virtual Result<void> publish(std::span<const StagedFile> files, Replace replace) = 0;

  /// What has the paths of FILES now; nothing for those that are free.
  virtual Result<std::vector<std::optional<FileIdentity>>> occupants(
      std::span<const StagedFile> files) = 0;

  /// The identities that published files have now; nothing for those that are not there any more,
  /// or have been replaced. An error says that it cannot be told.
  virtual Result<std::vector<std::optional<FileIdentity>>> identities(
      std::span<const StagedFile> files) = 0;

  /// Removes what has temporary names, as far as it is there, and directories that stage made.
  virtual Result<std::size_t> discard(std::span<const std::string> temporaries) = 0;
};

/// AREA's directory, or its URL.
std::string place_name(const LandingArea& area);

/// AREA and STOP must outlive the place. Errors: kNotFound, kDenied or kInvalid for the area's
/// directory; those of sftp::connect.
Result<std::unique_ptr<UploadPlace>> open_place(const LandingArea& area, StopToken& stop);

}  // namespace ferry::landing
