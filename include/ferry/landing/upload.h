// The Upload API: places files in a landing area and registers them, all of them or none.
//
//   auto upload = ferry::landing::Upload::begin(*metastore, {.area = area, .journals = dir}, stop);
//   if (upload) (*upload)->add("reports/today.csv", read_some);
//   auto records = (*upload)->commit();
//
// A file grows under a dot name that no watcher takes for one that landed, is hashed on the way and
// synced, gets its name in one step, and is entered in file_registry with the source `upload`. A
// watcher on the same area that sees it first or later makes no second record.
//
// Whenever the process dies, what it leaves behind is settled by the next upload or watcher of the
// area (recover_uploads): before commit has decided, the temporary files are removed; after that
// the files get the rest of their names and are registered.
//
// Link with the CMake target ferry_landing, and see README.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ferry/base/file.h"
#include "ferry/base/hash.h"
#include "ferry/base/result.h"
#include "ferry/base/stop.h"
#include "ferry/landing/watch.h"
#include "ferry/metastore/metastore.h"

namespace ferry::landing {

struct UploadOptions {
  LandingArea area;
  /// Where uploads note what they do: a directory of their own on a local file system, the same for
  /// all uploads and watchers of an area; made where missing. By custom METASTORE/uploads.
  fs::path journals;
  /// Refuse names that are taken instead of replacing what has them.
  bool no_clobber = false;
};

/// Fills the beginning of BUFFER with the next bytes; 0: there are no more.
using UploadSource = std::function<Result<std::size_t>(std::span<std::byte> buffer)>;

/// kInvalid where PATH, relative to AREA, is no name that a watcher would register: not relative,
/// leading out of the area, hidden or ignored, not UTF-8, too long.
Result<void> check_upload_path(const LandingArea& area, const std::string& path);

/// Belongs to one thread. METASTORE and STOP must outlive it.
class Upload {
 public:
  /// Recovers what earlier uploads to the area left. Errors: kNotFound or kDenied for the area;
  /// those of sftp::connect where it lies on a server; kIo.
  static Result<std::unique_ptr<Upload>> begin(metastore::Metastore& metastore,
                                               UploadOptions options, StopToken& stop);

  /// Takes back what was not committed, as far as that is possible.
  virtual ~Upload() = default;

  /// Reads SOURCE to its end. Errors: SOURCE's own; kInvalid for a path that is not fit or was
  /// given before; kAbnormal where EXPECTED is given and the bytes have another checksum, or where
  /// the area's policy refuses them; kIo (no space, for instance). After an error only
  /// destruction makes sense.
  virtual Result<void> add(std::string path, const UploadSource& source,
                           std::optional<Checksum> expected = std::nullopt) = 0;

  /// Gives all files their names and registers them; returns their records in the order of add. On
  /// an error all names are what they were before, unless is_unregistered: then the files are in
  /// place, and the next watcher or upload registers them. kFailed where a name is taken
  /// (no_clobber, or by a directory).
  virtual Result<std::vector<metastore::FileRecord>> commit() = 0;

  /// All files have their names, and commit could not register them.
  virtual bool is_unregistered() const = 0;
};

struct UploadRecovery {
  std::uint64_t registered = 0;  // files whose upload had been decided
  std::uint64_t removed = 0;     // temporary files of uploads that had not
};

/// Settles what uploads to AREAS left whose process has died; touches nothing of one that lives. An
/// area that cannot be reached is logged and left for the next time.
Result<UploadRecovery> recover_uploads(metastore::Metastore& metastore,
                                       std::span<const LandingArea> areas, const fs::path& journals,
                                       StopToken& stop);

}  // namespace ferry::landing
