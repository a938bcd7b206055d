// Gives out what is to be done, to lanes on any number of threads, and takes back what failed.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <span>

#include "ferry/base/file.h"
#include "transfer/job.h"

namespace ferry::transfer {

/// What a file costs beside its bytes: a few round trips, in bytes that take about as long.
constexpr std::uint64_t kFileCost = 24 * 1024;

/// One thing for one lane to do.
struct Work {
  enum class Kind : std::uint8_t {
    kWhole,   // a small file from beginning to end
    kChunk,   // one range of a large one
    kFinish,  // a large one all of whose chunks are at B
  };
  Kind kind = Kind::kWhole;
  Job* job = nullptr;
  Range range;  // kChunk only
};

/// All members are thread-safe. A job is touched by who has work on it in hand; its Spread only
/// here.
class WorkQueue {
 public:
  using Time = std::chrono::steady_clock::time_point;

  /// JOURNALS: where acknowledged chunks are written down.
  explicit WorkQueue(fs::path journals) : journals_(std::move(journals)) {}

  /// Before the lanes start. A job with a Spread is finished at once where no chunk is waiting.
  void add(Job& job);

  /// Announces jobs that will be added while the lanes run; until they are, or are withdrawn, lanes
  /// wait for them.
  void expect(std::size_t jobs);
  void add_expected(Job& job);
  void withdraw_expected();

  /// The job is uploaded and wants its final name.
  void add_finish(Job& job);

  struct Next {
    std::optional<Work> work;
    std::optional<Time> wait_until;  // no work now, but then
  };
  /// Chunks only where TAKES_CHUNKS. Neither member set: nothing is left for such a lane.
  Next take(bool takes_chunks, Time now);

  /// What the caller has to do for the file, having handed in a piece of its work.
  enum class After : std::uint8_t {
    kNothing,
    kFinish,  // that was the last chunk
    kEnd,     // the file has failed, and nobody is at it any more: see Job::error
  };

  /// For another try, not before TIME.
  After put_back(const Work& work, Time not_before);

  /// The chunk is at B: notes that in the journal. An error is the journal's.
  Result<After> complete(const Work& chunk, const JournalKey& key);

  /// The file has failed: no more of its chunks are given out.
  After abandon(const Work& work, const Error& error);

  /// Count a failure, and return how many there were: of the file itself; of connections that ended
  /// under it since a chunk of it got through.
  unsigned count_try(Job& job);
  unsigned count_loss(Job& job);

  /// Notes in the journal that the rename is about to be asked for.
  Result<void> note_publishing(Job& job);

  /// How much there is and how much is done, in bytes, with a flat rate for each file.
  struct Progress {
    std::uint64_t total = 0;
    std::uint64_t done = 0;
  };
  Progress progress() const;
  void add_done_bytes(std::uint64_t bytes);
  void add_done_file();

 private:
  void add_locked(Job& job);
  std::optional<Work> take_ready(bool takes_chunks, Time now);
  std::optional<Work> take_due(bool takes_chunks, Time now);
  std::optional<Work> take_chunk();
  Result<void> note_acknowledged(const Work& chunk, const JournalKey& key);
  After after(const Job& job) const;

  const fs::path journals_;
  mutable std::mutex mutex_;
  std::deque<Work> ready_;   // kWhole and kFinish
  std::deque<Job*> spread_;  // jobs with waiting chunks
  std::multimap<Time, Work> delayed_;
  std::size_t expected_ = 0;
  Progress progress_;
};

}  // namespace ferry::transfer
