// The Upload API: places files in a landing area and registers them, all of them or none.
//
//   auto upload = ferry::landing::Upload::begin(*metastore, {.area = area, .journals = dir}, stop);
//   auto file = (*upload)->open("reports/today.csv");
//   (*file)->write(bytes);  // as often as there are some
//   (*file)->finish();
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
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ferry/base/file.h"
#include "ferry/base/hash.h"
#include "ferry/base/outcome.h"
#include "ferry/base/result.h"
#include "ferry/base/stop.h"
#include "ferry/landing/watch.h"
#include "ferry/metastore/metastore.h"

namespace ferry::landing {

struct UploadOptions {
  LandingArea area;
  /// Where uploads note what they do: a directory of their own on a local file system, the same for
  /// all uploads and watchers of an area; made if missing. By custom METASTORE/uploads.
  fs::path journals;
  /// Refuse names that are taken instead of replacing what has them.
  bool no_clobber = false;
};

/// kInvalid if PATH, relative to AREA, is not a name that a watcher would register: not relative,
/// leading out of the area, hidden or ignored, not UTF-8, too long, below more than 64 directories.
Result<void> check_upload_path(const LandingArea& area, const std::string& path);

/// kAbnormal if AREA takes no file of this name or, if it is known, SIZE in bytes, whatever is in
/// it: nobody need send it.
Result<void> check_announced(const LandingArea& area, const std::string& path,
                             std::optional<std::uint64_t> size);

/// Belongs to one thread. METASTORE and STOP must outlive it.
class Upload {
 public:
  /// A file on its way; must not outlive its upload. Once one of its calls has failed only
  /// destroying the upload makes sense.
  class File {
   public:
    virtual ~File() = default;

    /// Appends. Errors: kCancelled after a stop; kAbnormal for more than the area's max_size; kIo
    /// (no space, for instance); those of sftp::connect.
    virtual Result<void> write(std::span<const std::byte> data) = 0;

    /// The file is whole, and is put on stable storage. Errors: those of write; kAbnormal if the
    /// bytes have another checksum than one of EXPECTED, or if the area's policy refuses them;
    /// kInvalid if an algorithm of EXPECTED was not announced.
    virtual Result<void> finish(std::span<const Checksum> expected = {}) = 0;
  };

  /// Recovers what earlier uploads to the area left. Errors: kNotFound or kDenied for the area;
  /// those of sftp::connect where it lies on a server; kIo. The journals are the metastore's.
  static ferry::Outcome<std::unique_ptr<Upload>> begin(metastore::Metastore& metastore,
                                                       UploadOptions options, StopToken& stop);

  /// Takes back what was not committed, as far as that is possible.
  virtual ~Upload() = default;

  /// Begins the file PATH, which is hashed with SHA-256 and ALSO. Several may be open at once.
  /// kInvalid for a path that is not fit or was given before, kAbnormal if the area takes no file
  /// of this name.
  virtual ferry::Outcome<std::unique_ptr<File>> open(std::string path,
                                                     std::span<const HashAlgorithm> also = {}) = 0;

  /// Gives all files their names and registers them; returns their records in the order in which
  /// they were finished. kInvalid if one is not finished. On another error all names are what they
  /// were before, unless the message says that the files are in their places: then the next watcher
  /// or upload registers them. kFailed if a name is taken (no_clobber, or by a directory).
  virtual ferry::Outcome<std::vector<metastore::FileRecord>> commit() = 0;
};

/// Whose trouble it is if AREA cannot be read or written.
Origin origin_of(const LandingArea& area);

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
