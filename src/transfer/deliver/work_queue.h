// Gives out what is to be done, to workers on any number of threads, and takes back what failed.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <span>

#include "ferry/base/file.h"
#include "transfer/deliver/job.h"
#include "transfer/deliver/session.h"

namespace ferry::transfer {

/// What a file costs beside its bytes: a few round trips, in bytes that take about as long.
constexpr std::uint64_t kFileCost = 24 * 1024;

struct SessionTask;

/// One thing for one worker to do.
struct Work {
  enum class Kind : std::uint8_t {
    kPlan,    // a large file of which nobody knows yet how much B has
    kWhole,   // a file from beginning to end
    kChunk,   // one range of a large one
    kFinish,  // a large one all of whose bytes are at B
    kTask,    // something else
  };
  Kind kind = Kind::kWhole;
  Job* job = nullptr;  // null with kTask
  Range range = {};    // kChunk only
  std::shared_ptr<SessionTask> task = {};
};

/// What needs a connection, and is no file's.
struct SessionTask {
  /// Is begun again, on another connection, if the one that it had ends, or after what may pass.
  std::function<sftp::Task<Result<void>>(Session& session)> run;
  /// Called once, on any thread; not if it was stopped.
  std::function<void(const Result<void>& outcome)> done;
  unsigned tries = 0;
};

/// All members are thread-safe. A job is touched by who has work on it in hand; its Spread only
/// here. Every piece of work that was taken is handed in by exactly one of done, complete, put_back
/// and abandon.
class WorkQueue {
 public:
  using Time = std::chrono::steady_clock::time_point;

  /// JOURNALS: where acknowledged ranges are written down.
  explicit WorkQueue(fs::path journals) : journals_(std::move(journals)) {}

  /// Those whose content is known. Files that come together are begun together.
  void add(std::span<Job* const> jobs);
  void add(Job& job) {
    Job* const one = &job;
    add(std::span(&one, 1));
  }
  /// The large file's job has its Spread, or goes out as a whole.
  void add_planned(const Work& plan);

  /// Somebody may add more: until as many have said that they will not, it is not over.
  void expect();
  void expect_no_more();

  void add_task(std::shared_ptr<SessionTask> task);

  /// Files that wait and that nobody has begun.
  std::size_t backlog() const;
  /// Before the workers start: LOW is called, on any thread, when one is taken and at most MARK
  /// are left.
  void on_low(std::size_t mark, std::function<void()> low);

  struct Next {
    std::optional<Work> work = {};
    /// No work now, but then there may be some that the caller can take.
    std::optional<Time> wait_until = {};
    /// There is none, and there will be none.
    bool is_over = false;
  };
  /// Chunks only if TAKES_CHUNKS. If there is no work now, CHANGED is called once, on any thread,
  /// when that may have changed; forget it by WHO before it goes.
  Next take(bool takes_chunks, Time now, const void* who, std::function<void()> changed);
  void forget(const void* who);
  /// Waits until there is work, or there will be none. False: there will be none, or WANTED() is
  /// false, which is asked now and then.
  bool wait_for_work(const std::function<bool()>& wanted);

  /// What the caller has to do for the file, having handed in a piece of its work.
  enum class After : std::uint8_t {
    kNothing,
    kEnd,  // the file has failed, and nobody is at it any more: see Job::error
  };

  /// Nobody needs to do anything more about the work.
  void done(const Work& work);
  /// What a connection has written of a chunk.
  struct Acknowledged {
    std::span<const Range> ranges;
    bool is_synced = false;                 // asked to, B has put them onto its disk
    std::optional<std::uint32_t> modified;  // the part, as B says since then
  };
  /// Notes that in the journal. An error is the journal's.
  Result<void> note(Job& job, const Acknowledged& acknowledged, const std::string& destination);
  /// Whether B's PART can have what is noted of JOB's. One that is shorter, or was last written to
  /// before that, is doubtful from here on, for later runs as well: B has lost it, or went back to
  /// what it had before. An error is the journal's.
  Result<void> check_part(Job& job, const sftp::Attributes& part, const std::string& destination);
  /// Whether there is anything for check_part to go by.
  bool has_acknowledged(const Job& job) const;
  /// All of the chunk has been noted. Whoever takes work next may finish the file.
  After complete(const Work& chunk);
  /// For another try, not before TIME; of a chunk, what was not noted.
  After put_back(const Work& work, Time not_before);
  /// The file has failed: no more of its chunks are given out.
  After abandon(const Work& work, const Error& error);

  /// Nothing of a large file is at B after all: all of its chunks go out again, into the part that
  /// it has now.
  void start_over(const Work& finish);

  /// Count a failure, and return how many there were: of the file itself; of connections that ended
  /// under it since a chunk of it got through. IS_SYNCED: what was acknowledged there is kept.
  unsigned count_try(Job& job);
  unsigned count_loss(Job& job, bool is_synced);

  /// Notes in the journal that the rename is about to be asked for.
  Result<void> note_rename_asked(Job& job);

  /// How much there is and how much is done, in bytes, with a flat rate for each file.
  struct Progress {
    std::uint64_t total = 0;
    std::uint64_t done = 0;
  };
  Progress progress() const;
  /// What there probably will be in all, before it is added.
  void foresee(std::uint64_t total);
  void add_done_bytes(std::uint64_t bytes);
  void add_done_file();

 private:
  void add_locked(Job& job);
  std::optional<Work> take_ready(bool takes_chunks, Time now);
  std::optional<Work> take_due(bool takes_chunks, Time now);
  std::optional<Work> take_chunk();
  std::optional<Time> next_due(bool takes_chunks) const;
  bool is_empty() const;
  Result<Journal*> journal_of(Job& job, const std::string& destination);
  void give_back(const Work& work);
  After after(Job& job);
  void wake_all();

  const fs::path journals_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Work> ready_;   // kWhole and kFinish
  std::deque<Job*> spread_;  // jobs with waiting chunks
  std::multimap<Time, Work> delayed_;
  std::size_t expected_ = 0;
  std::size_t in_hand_ = 0;
  std::map<const void*, std::function<void()>> waiting_;
  Progress progress_;
  std::uint64_t foreseen_ = 0;
  std::size_t low_mark_ = 0;
  std::function<void()> low_;
};

}  // namespace ferry::transfer
