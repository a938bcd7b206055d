// The landing areas that a run reads from.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "ferry/base/fd.h"
#include "ferry/base/file.h"
#include "ferry/base/result.h"
#include "ferry/metastore/records.h"
#include "ferry/sftp/connect.h"

namespace ferry::transfer {

/// A directory of this host, opened once, or one on a server.
struct LandingRoot {
  UniqueFd directory;
  std::uint64_t device = 0;  // the directory's
  bool is_empty = false;     // wholly, as is that of a file system which is not mounted
  const sftp::Location* location = nullptr;  // the same for all names of one area

  bool is_remote() const { return location != nullptr; }
};

/// Does not change once it is open: threads may share it.
class LandingRoots {
 public:
  using Directories = std::map<std::string, fs::path>;
  using Locations = std::map<std::string, sftp::Location>;

  /// Both by the registry's `landing` column; LOCATIONS must outlive this.
  static LandingRoots open(const Directories& directories, const Locations& locations);

  /// Null for one that open was not told of, and for one whose directory cannot be opened.
  const LandingRoot* find(const std::string& landing) const;

  /// Why an area's directory cannot be opened; null if it is open.
  const Error* absence(const std::string& landing) const;

 private:
  std::map<std::string, LandingRoot> roots_;
  std::map<std::string, Error> absent_;
};

/// True if FILE is not there, and its file system is not mounted: that proves nothing of it. Looks
/// on the disk only if FILE was on another file system than its area is.
bool is_unmounted(const LandingRoot& landing, const metastore::FileRecord& file);

}  // namespace ferry::transfer
