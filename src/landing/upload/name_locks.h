// Who gives names in a landing area holds them until what has them is registered: of two uploads of
// one path the one whose file stays is then the one that the registry knows last.
//
// Advisory, and among processes of one host that keep the notes of their uploads in one directory.
#pragma once

#include <chrono>
#include <span>

#include "ferry/base/fd.h"
#include "ferry/base/file.h"
#include "ferry/base/result.h"
#include "ferry/base/stop.h"
#include "landing/upload/upload_place.h"

namespace ferry::landing {

class NameLocks {
 public:
  /// Waits for the names of FILES in LANDING. Errors: kBusy after TIMEOUT, kCancelled after a stop.
  static Result<NameLocks> acquire(fs::path journals, const std::string& landing,
                                   std::span<const StagedFile> files,
                                   std::chrono::milliseconds timeout, const StopToken& stop);

 private:
  explicit NameLocks(UniqueFd fd) : fd_(std::move(fd)) {}

  UniqueFd fd_;  // its locks go with it
};

}  // namespace ferry::landing
