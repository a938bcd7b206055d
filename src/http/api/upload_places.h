// How many resumable uploads are unfinished, and of whom: nobody may have all the places.
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <string>

#include "ferry/base/file.h"
#include "http/protocol/message.h"

namespace ferry::http {

/// Counts in memory, and looks into the directory at times only: for what a previous process left,
/// for what another one of the same directory does, and for what has expired, which it removes.
/// Thread-safe.
class UploadPlaces {
 public:
  /// Those that nobody went on with for KEEP have expired.
  UploadPlaces(fs::path directory, std::chrono::milliseconds keep)
      : directory_(std::move(directory)), keep_(keep) {}

  /// 429 if BY has as many as one may have, 503 if all together have.
  Answer<void> check(const std::string& by);
  void enter(const std::string& id, const std::string& by);
  /// It has become a file, or is gone.
  void leave(const std::string& id);

 private:
  using Clock = std::chrono::steady_clock;

  Result<void> look();
  bool is_full(const std::string& by) const;

  const fs::path directory_;
  const std::chrono::milliseconds keep_;
  std::mutex mutex_;
  std::map<std::string, std::string> owners_;  // by id
  std::map<std::string, std::size_t> by_owner_;
  Clock::time_point next_look_{};
};

}  // namespace ferry::http
