// The landing areas that a run reads from, opened once.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "ferry/base/fd.h"
#include "ferry/base/file.h"
#include "ferry/base/result.h"

namespace ferry::transfer {

class LandingRoots {
 public:
  /// DIRECTORIES: by the registry's `landing` column. kNotFound or kDenied with the directory.
  static Result<LandingRoots> open(const std::map<std::string, fs::path>& directories);

  /// The open directory of a landing area; -1 for one that open was not told of.
  int fd(const std::string& landing) const;

 private:
  std::map<std::string, UniqueFd> roots_;
};

}  // namespace ferry::transfer
