// How far the agents of this host are, for whoever looks: a file for each run to a destination, in
// a directory of their own. It is locked for as long as the run lives, so that nobody takes what a
// dead one left for news. None of it is put on stable storage.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "ferry/base/file.h"
#include "ferry/base/lock.h"
#include "ferry/base/result.h"
#include "ferry/base/time.h"

namespace ferry {

struct AgentProgress {
  std::string process{};  // HOST-PID
  std::string destination{};
  Timestamp started{};
  Timestamp updated{};
  std::uint64_t files = 0;  // as many as are known to be there to deliver
  std::uint64_t files_done = 0;
  std::uint64_t files_failed = 0;
  std::uint64_t bytes = 0;
  std::uint64_t bytes_done = 0;
  std::uint64_t rate = 0;  // bytes a second, of the last seconds
  std::string last_file{};
  std::string last_error{};

  bool is_idle() const { return files_done + files_failed >= files; }
  /// Nothing: nobody knows.
  std::optional<std::chrono::seconds> time_left() const;
};

/// Those of the runs that live, by destination.
Result<std::vector<AgentProgress>> read_agent_progress(const fs::path& directory);

/// Belongs to one thread at a time. What cannot be written is left out: nobody waits for it.
class ProgressNote {
 public:
  static Result<ProgressNote> create(const fs::path& directory, std::string destination);
  ProgressNote(ProgressNote&&) noexcept = default;
  ProgressNote& operator=(ProgressNote&&) = delete;
  ~ProgressNote();

  /// To be changed, and then told of.
  AgentProgress& now_is() { return progress_; }
  /// Writes what it is now, if that was not done a moment ago.
  void tell();

 private:
  using Clock = std::chrono::steady_clock;
  ProgressNote(fs::path path, FileLock lock, std::string destination);
  void write();

  fs::path path_;
  FileLock lock_;
  AgentProgress progress_{};
  Clock::time_point told_{};
  struct Mark {
    Clock::time_point time;
    std::uint64_t bytes;
  };
  std::deque<Mark> marks_{};  // of the last seconds
};

}  // namespace ferry
