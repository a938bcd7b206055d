// One thread, one connection: takes work from the queue until none is left.
#pragma once

#include <cstddef>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "ferry/base/result.h"
#include "ferry/sftp/event_loop.h"
#include "ferry/sftp/shared_result.h"
#include "ferry/sftp/task.h"
#include "transfer/deliver/job.h"
#include "transfer/deliver/part_handles.h"
#include "transfer/deliver/publish.h"
#include "transfer/deliver/session.h"
#include "transfer/deliver/work_queue.h"
#include "transfer/naming/free_name.h"
#include "transfer/run/run_context.h"
#include "transfer/source/source_opener.h"

namespace ferry::transfer {

/// Many files are in flight at once: while one waits for an answer the others fill the line.
class Worker {
 public:
  Worker(const RunContext& context, WorkQueue& queue, Session& session);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker();

  /// Returns when the queue has nothing more for anybody, or a stop was requested. An error is what
  /// ended the connection; what was in hand is back in the queue then, unless it was lost too
  /// often.
  Result<void> run();

  /// Whether B acknowledged any byte to us.
  bool made_progress() const { return made_progress_; }
  /// Whether we had anything in hand when the connection ended.
  bool was_busy() const { return was_busy_; }

 private:
  /// A chunk that is being written.
  struct ChunkInHand {
    const Work* work = nullptr;
    sftp::Handle handle;
    RangeSet acknowledged;  // and not noted yet
    /// Null: nothing is being synced and noted.
    std::shared_ptr<sftp::SharedResult<bool>> noting;
    std::optional<Error> error;  // of an fsync, or of the journal
  };
  enum class Finished : std::uint8_t { kYes, kStartOver };
  /// Of a file that may have to make way for what is at the destination.
  enum class Course : std::uint8_t {
    kSend,
    kEnd,  // nothing is to be sent (any more): it is delivered, or skipped
  };

  std::size_t most_in_hand() const;
  sftp::Task<void> dispatch();
  bool must_end() const;
  sftp::Task<void> perform(Work work);

  sftp::Task<Result<bool>> takes_many_handles();
  sftp::Task<Result<Course>> plan(const Work& work);
  sftp::Task<Result<void>> send_whole(Job& job);
  sftp::Task<Result<void>> send_content(Job& job);
  sftp::Task<void> discard_part(Job& job);
  sftp::Task<Result<void>> send_chunk(const Work& chunk);
  sftp::Task<Result<void>> write_chunk(ChunkInHand& chunk, Source& source);
  sftp::Task<Result<void>> write_all(ChunkInHand& chunk, std::unique_ptr<Source> source);
  sftp::Task<Result<void>> write(ChunkInHand& chunk, const sftp::ByteSource& bytes);
  sftp::Task<void> note_as_time_passes();
  sftp::Task<void> note(ChunkInHand& chunk);
  sftp::Task<Result<void>> look_at_part(Job& job, sftp::Handle part);
  sftp::Task<Result<void>> note_rest(ChunkInHand& chunk);
  sftp::Task<Result<Finished>> finish(Job& job);
  sftp::Task<Result<RenameFate>> look_after_rename(Job& job);
  sftp::Task<Result<void>> check_source_again(Job& job);
  sftp::Task<Result<void>> preserve_attributes(const Job& job);
  sftp::Task<Result<void>> read_again(const Job& job, std::unique_ptr<Source> source);
  Verify depth_for(const Job& job) const;
  sftp::Task<Result<void>> make_durable(const Job& job);
  sftp::Task<Result<RenameFate>> rename(Job& job);
  sftp::Task<Result<Publication>> publish(const Job& job);
  sftp::Task<Result<Course>> heed_existing(Job& job);
  sftp::Task<Result<Course>> give_way(Job& job);
  sftp::Task<Result<Course>> take_version(Job& job);
  Result<void> take_name(Job& job, std::string remote_path);
  sftp::Task<Result<void>> count_as_delivered(Job& job);

  /// When to try again what failed; nothing if that is of no use.
  std::optional<WorkQueue::Time> retry_time(Job& job, const Error& error);
  std::optional<WorkQueue::Time> retry_time(SessionTask& task, const Error& error);
  std::optional<WorkQueue::Time> retry_time_of(const LandingRoot* landing);
  sftp::Task<void> settle(Work work, Result<void> outcome);
  sftp::Task<void> run_task(Work work);
  sftp::Task<Result<void>> start_over(const Work& finish);
  sftp::Task<void> end(Job& job);

  void acknowledged(std::size_t bytes);

  const RunContext& context_;
  WorkQueue& queue_;
  Session& session_;
  PartHandles handles_;
  sftp::TaskGroup performing_;
  /// Something has changed for dispatch. Shared with those who say so from other threads.
  std::shared_ptr<sftp::Condition> changed_;
  sftp::Condition over_;
  std::shared_ptr<sftp::SharedResult<bool>> syncing_;  // while a thread syncs a batch's journal
  std::shared_ptr<sftp::SharedResult<Result<bool>>> asking_;  // while takes_many_handles does
  std::size_t chunk_count_ = 0;
  std::list<ChunkInHand*> chunks_;
  /// A landing area's server that does not answer fails all its files at once: that counts as one.
  struct Outage {
    unsigned failures = 0;
    WorkQueue::Time retry_at;
  };
  std::map<const LandingRoot*, Outage> outages_;  // since something of it got through
  std::set<const Job*> charged_;                  // with the loss of this connection
  bool made_progress_ = false;
  bool was_busy_ = false;
  bool is_over_ = false;
};

}  // namespace ferry::transfer
