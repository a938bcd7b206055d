// The landing areas that a run reads from.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "ferry/base/fd.h"
#include "ferry/base/file.h"
#include "ferry/base/result.h"
#include "ferry/sftp/connect.h"

namespace ferry::transfer {

/// A directory of this host, opened once, or one on a server.
struct LandingRoot {
  UniqueFd directory;
  const sftp::Location* location = nullptr;  // the same for all names of one area

  bool is_remote() const { return location != nullptr; }
};

/// Does not change once it is open: threads may share it.
class LandingRoots {
 public:
  using Directories = std::map<std::string, fs::path>;
  using Locations = std::map<std::string, sftp::Location>;

  /// Both by the registry's `landing` column; LOCATIONS must outlive this. kNotFound or kDenied
  /// with the directory.
  static Result<LandingRoots> open(const Directories& directories, const Locations& locations);

  /// Null for one that open was not told of.
  const LandingRoot* find(const std::string& landing) const;

 private:
  std::map<std::string, LandingRoot> roots_;
};

}  // namespace ferry::transfer
