#include "transfer/deliver/worker.h"

#include <sys/resource.h>

#include <algorithm>

#include "transfer/batch/batch.h"
#include "transfer/deliver/backoff.h"
#include "transfer/deliver/many_handles.h"
#include "transfer/deliver/removal.h"
#include "transfer/deliver/resume.h"
#include "transfer/naming/remote_path.h"

namespace ferry::transfer {
namespace {

using sftp::Task;
using Clock = std::chrono::steady_clock;
using After = WorkQueue::After;

/// What this process has open beside the files that it sends.
constexpr std::size_t kOtherOpenFiles = 64;
/// Chunks that one connection works on: enough that opening, syncing and closing cost no time on a
/// long line, few enough that the others get their share.
constexpr std::size_t kMaxChunksInHand = 8;
/// Files that are begun together share a sync of their batch's journal: a connection that has as
/// many in hand as it may begins no more until this share of them has ended.
constexpr std::size_t kShareBegunTogether = 8;
/// What a larger file leaves in the page cache is given back: it would push out what others need.
constexpr std::uint64_t kMaxCachedBytes = 1ULL << 30;
/// A file under which this many connections ended, one after another and without any of it getting
/// through, is taken for the cause.
constexpr unsigned kMaxLosses = 20;
/// How often what B has of chunks that are not whole yet is synced and noted: what a slow line
/// loses with a run.
constexpr std::chrono::seconds kNoteInterval{2};

Error stopped() {
  return make_error(ErrorKind::kCancelled, "stopped");
}

/// SOURCE, a Source or a SourceStream, and STOP must outlive it.
template <typename Readable>
sftp::ByteSource bytes_of(Readable& source, const StopToken& stop) {
  sftp::ByteSource bytes{
      .read = [&](std::uint64_t offset, std::span<std::byte> buffer) -> Result<void> {
        if (stop.stop_requested()) return stopped();
        return source.read(offset, buffer);
      }};
  if (!source.is_always_ready()) {
    bytes.await = [&](std::size_t size) { return source.await(size); };
  }
  return bytes;
}

}  // namespace

Worker::Worker(const RunContext& context, WorkQueue& queue, Session& session)
    : context_(context),
      queue_(queue),
      session_(session),
      handles_(*session.client),
      performing_(*session.loop),
      changed_(std::make_shared<sftp::Condition>(*session.loop)),
      over_(*session.loop) {}

Worker::~Worker() {
  queue_.forget(this);
}

/// As many files as we may have open at once. What the servers keep open their clients know.
std::size_t Worker::most_in_hand() const {
  struct rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const std::size_t here =
      (std::max<std::size_t>(limit.rlim_cur, 2 * kOtherOpenFiles) - kOtherOpenFiles) /
      context_.destination.connections;
  return std::max<std::size_t>(1, std::min(context_.options.files_in_flight, here));
}

Result<void> Worker::run() {
  session_.loop->spawn(dispatch());
  session_.loop->spawn(note_as_time_passes());
  session_.loop->run();
  if (const auto& error = session_.client->error()) return *error;
  return {};
}

bool Worker::must_end() const {
  return context_.stop.stop_requested() || session_.client->error().has_value();
}

Task<void> Worker::dispatch() {
  const std::size_t most = most_in_hand();
  const auto changed = [weak = std::weak_ptr(changed_), &loop = *session_.loop] {
    loop.post([weak] {
      if (const auto condition = weak.lock()) condition->notify_all();
    });
  };
  const std::size_t few = most - most / kShareBegunTogether;
  bool takes_more = true;
  while (!must_end()) {
    std::optional<WorkQueue::Time> until;
    takes_more = performing_.size() < (takes_more ? most : few);
    if (takes_more) {
      const auto next = queue_.take(chunk_count_ < kMaxChunksInHand, Clock::now(), this, changed);
      if (next.is_over) break;
      if (next.work) {
        if (next.work->kind == Work::Kind::kChunk) ++chunk_count_;
        performing_.spawn(perform(*next.work));
        continue;
      }
      until = next.wait_until;
    }
    co_await changed_->wait(until);
  }
  was_busy_ = performing_.size() > 0;
  co_await performing_;
  is_over_ = true;
  over_.notify_all();
}

Task<void> Worker::perform(Work work) {
  if (work.kind == Work::Kind::kTask) {
    co_await run_task(work);
    co_return changed_->notify_all();
  }
  Job& job = *work.job;
  Result<void> outcome;
  if (work.kind == Work::Kind::kPlan) {
    const auto planned = co_await plan(work);
    if (planned && *planned == Course::kSend) co_return changed_->notify_all();
    if (!planned) outcome = planned.error();
  } else if (work.kind == Work::Kind::kWhole) {
    outcome = co_await send_whole(job);
  } else if (work.kind == Work::Kind::kChunk) {
    outcome = co_await send_chunk(work);
    --chunk_count_;
  } else {
    const auto finished = co_await finish(job);
    if (finished && *finished == Finished::kStartOver) {
      outcome = co_await start_over(work);
      if (outcome) co_return changed_->notify_all();
    } else if (!finished) {
      outcome = finished.error();
    }
  }
  co_await settle(work, std::move(outcome));
  changed_->notify_all();
}

/// Others of this connection's files share the answer.
Task<Result<bool>> Worker::takes_many_handles() {
  if (const auto asking = asking_) {
    sftp::SharedResult<Result<bool>>& answer = *asking;
    co_return co_await answer;
  }
  const auto ours = std::make_shared<sftp::SharedResult<Result<bool>>>();
  asking_ = ours;
  const auto answer =
      co_await context_.many_handles.ask(*session_.client, *session_.loop, session_.directory);
  asking_.reset();
  // The first of them stays the first.
  session_.loop->post([ours, answer] { ours->set(answer); });
  co_return answer;
}

/// kSend: the queue has it again.
Task<Result<Worker::Course>> Worker::plan(const Work& work) {
  const auto course = co_await heed_existing(*work.job);
  if (!course || *course == Course::kEnd) co_return course;
  const auto takes_many = co_await takes_many_handles();
  const auto planned = co_await plan_delivery(*work.job, context_, *session_.client, takes_many);
  if (!planned) co_return planned.error();
  if (const auto& error = session_.client->error()) co_return *error;
  queue_.add_planned(work);
  co_return Course::kSend;
}

// Files from beginning to end.

Task<Result<void>> Worker::send_whole(Job& job) {
  if (job.part.rename_asked) {
    const auto fate = co_await look_after_rename(job);
    if (!fate) co_return fate.error();
    if (*fate == RenameFate::kDone) co_return Result<void>();
    if (*fate == RenameFate::kPending) {
      const auto renamed = co_await rename(job);
      if (!renamed) co_return renamed.error();
      if (*renamed == RenameFate::kDone) co_return Result<void>();
    }
  }
  const auto course = co_await heed_existing(job);
  if (!course) co_return course.error();
  if (*course == Course::kEnd) co_return Result<void>();
  const auto directory = co_await session_.directories->ensure(parent_of(job.remote_path));
  if (!directory) co_return directory;
  auto outcome = co_await send_content(job);
  // It may be the name: of a part file that a server keeps from us.
  if (!outcome && outcome.error().kind == ErrorKind::kDenied && job.parts_begun == 1) {
    outcome = co_await send_content(job);
  }
  if (!outcome || job.is_named_later) co_return outcome;
  const auto renamed = co_await rename(job);
  if (!renamed) co_return renamed.error();
  co_return Result<void>();
}

Task<Result<void>> Worker::send_content(Job& job) {
  co_await discard_part(job);
  begin_part(job);
  if (auto noted = context_.events.on_part(job); !noted) co_return noted;
  const auto durable = co_await make_durable(job);
  if (!durable) co_return durable;
  const Target target = target_of(job);
  auto opened = co_await session_.sources->open(content_root(job), content_path(job),
                                                job.source.identity, {0, target.size});
  if (!opened) co_return opened.error();
  SourceStream source(std::move(*opened), content_path(job), job.source.sha256);
  const Content content{
      .source = bytes_of(source, context_.stop),
      .on_acknowledged = [&](std::uint64_t, std::size_t size) { acknowledged(size); }};
  auto outcome = co_await upload_part(session_, target, content, context_.options);
  if (!outcome) {
    if (!session_.client->error()) job.part = {};  // it was removed
    co_return outcome;
  }
  outcome = co_await source.verify();
  if (outcome) outcome = co_await check_source_again(job);
  if (outcome) outcome = co_await preserve_attributes(job);
  if (!outcome) co_await discard_part(job);
  co_return outcome;
}

/// Of an earlier try. On a connection that has ended it stays, and its name with the job.
Task<void> Worker::discard_part(Job& job) {
  if (job.part.path.empty() || session_.client->error()) co_return;
  [[maybe_unused]] const auto removed = co_await remove_leftover(*session_.client, job.part.path);
  if (!session_.client->error()) job.part = {};
}

// Chunks.

Task<Result<void>> Worker::send_chunk(const Work& work) {
  Job& job = *work.job;
  const Target target = target_of(job);
  const auto directory = co_await session_.directories->ensure(parent_of(target.final_path));
  if (!directory) co_return directory;
  auto source = co_await session_.sources->open(content_root(job), content_path(job),
                                                job.source.identity, work.range);
  if (!source) co_return source.error();
  const auto durable = co_await make_durable(job);
  if (!durable) co_return durable;
  if (context_.stop.stop_requested()) co_return stopped();
  const PartHandles::Look look = [this, &job](const sftp::Handle& part) {
    return look_at_part(job, part);
  };
  const auto handle = co_await handles_.borrow(target, look);
  if (!handle) {
    const Error error = co_await explain(*session_.client, handle.error(), target);
    co_return error;
  }
  ChunkInHand chunk{
      .work = &work, .handle = *handle, .acknowledged = {}, .noting = {}, .error = {}};
  chunks_.push_back(&chunk);
  const bool is_all = work.range == Range{0, target.size};
  const bool proves = is_all && !is_proven_by_identity(job);
  auto writing = proves ? write_all(chunk, std::move(*source)) : write_chunk(chunk, **source);
  auto outcome = co_await writing;
  const auto noted = co_await note_rest(chunk);
  if (outcome) outcome = noted;
  std::erase(chunks_, &chunk);
  if (target.size > kMaxCachedBytes && *source) {
    (*source)->drop_from_cache(work.range.begin, work.range.size());
  }
  const auto closed = co_await handles_.give_back(target.part_path);
  if (outcome && !closed) outcome = closed;
  if (!outcome) {
    const Error error = co_await explain(*session_.client, outcome.error(), target);
    co_return error;
  }
  job.part.is_proven = proves;
  co_return outcome;
}

/// What other connections have written before may be gone from B.
Task<Result<void>> Worker::look_at_part(Job& job, sftp::Handle part) {
  if (!queue_.has_acknowledged(job)) co_return Result<void>();
  const auto found = co_await session_.client->fstat(part);
  if (session_.client->error()) co_return *session_.client->error();
  if (!found) co_return Result<void>();
  co_return queue_.check_part(job, *found, context_.destination.name);
}

Task<Result<void>> Worker::write_chunk(ChunkInHand& chunk, Source& source) {
  const sftp::ByteSource bytes = bytes_of(source, context_.stop);
  co_return co_await write(chunk, bytes);
}

/// A file from a server, from its beginning to its end.
Task<Result<void>> Worker::write_all(ChunkInHand& chunk, std::unique_ptr<Source> source) {
  const Job& job = *chunk.work->job;
  SourceStream stream(std::move(source), job.path, job.source.sha256);
  const sftp::ByteSource bytes = bytes_of(stream, context_.stop);
  auto outcome = co_await write(chunk, bytes);
  if (outcome) outcome = co_await stream.verify();
  co_return outcome;
}

Task<Result<void>> Worker::write(ChunkInHand& chunk, const sftp::ByteSource& bytes) {
  const sftp::OnAcknowledged count = [&](std::uint64_t offset, std::size_t size) {
    acknowledged(size);
    chunk.acknowledged.add({offset, offset + size});
  };
  const Range range = chunk.work->range;
  co_return co_await session_.client->write(chunk.handle, range.begin, range.end, bytes, count);
}

Task<void> Worker::note_as_time_passes() {
  while (!is_over_ && !must_end()) {
    const auto until = Clock::now() + kNoteInterval;
    while (!is_over_ && !must_end() && Clock::now() < until) co_await over_.wait(until);
    sftp::TaskGroup noting(*session_.loop);
    for (ChunkInHand* chunk : chunks_) {
      if (!chunk->noting && chunk->acknowledged.size() > 0) noting.spawn(note(*chunk));
    }
    co_await noting;
  }
}

/// What is acknowledged by now; what comes meanwhile is for the next time.
Task<void> Worker::note(ChunkInHand& chunk) {
  const auto noted = std::make_shared<sftp::SharedResult<bool>>();
  chunk.noting = noted;
  const RangeSet ranges = std::exchange(chunk.acknowledged, {});
  const bool syncs = wants_sync(*session_.client, context_.options.fsync);
  auto outcome = co_await sync_part(*session_.client, chunk.handle, context_.options.fsync);
  if (outcome) {
    const auto part = co_await session_.client->fstat(chunk.handle);
    outcome = queue_.note(*chunk.work->job,
                          {.ranges = ranges.ranges(),
                           .is_synced = syncs,
                           .modified = part ? part->modified : std::nullopt},
                          context_.destination.name);
  }
  // A second fsync would succeed: what this one was for has to be sent again.
  if (!outcome && !chunk.error) chunk.error = outcome.error();
  chunk.noting.reset();
  noted->set(true);
}

/// Whatever became of the chunk, and of the run.
Task<Result<void>> Worker::note_rest(ChunkInHand& chunk) {
  if (const auto noting = chunk.noting) {
    sftp::SharedResult<bool>& noted = *noting;
    co_await noted;
  }
  if (!chunk.error && chunk.acknowledged.size() > 0) co_await note(chunk);
  if (chunk.error) co_return *chunk.error;
  co_return Result<void>();
}

Task<Result<void>> Worker::start_over(const Work& finish) {
  Job& job = *finish.job;
  Journal::remove(context_.options.journals, job.id, context_.destination.name);
  co_await discard_part(job);
  begin_part(job);
  if (auto noted = context_.events.on_part(job); !noted) co_return noted;
  queue_.start_over(finish);
  co_return Result<void>();
}

Task<void> Worker::run_task(Work work) {
  SessionTask& task = *work.task;
  ++task.tries;
  const auto outcome = co_await task.run(session_);
  if (!outcome) {
    if (outcome.error().kind == ErrorKind::kCancelled) co_return queue_.done(work);
    if (const auto again = retry_time(task, outcome.error())) {
      queue_.put_back(work, *again);
      co_return;
    }
  }
  task.done(outcome);
  queue_.done(work);
}

std::optional<Clock::time_point> Worker::retry_time(SessionTask& task, const Error& error) {
  if (sftp::ends_connection(error.kind)) {
    if (task.tries > kMaxLosses) return std::nullopt;
    return Clock::now();
  }
  const Retries& retries = context_.options.retries;
  if (!is_retryable(error.kind) || task.tries > retries.limit) return std::nullopt;
  return Clock::now() + backoff(retries, task.tries - 1);
}

void Worker::acknowledged(std::size_t bytes) {
  made_progress_ = true;
  queue_.add_done_bytes(bytes);
  context_.events.on_bytes(bytes);
}

// What comes of it.

Task<void> Worker::settle(Work work, Result<void> outcome) {
  Job& job = *work.job;
  if (outcome) {
    outages_.erase(job.landing);
    if (work.kind == Work::Kind::kChunk) {
      if (queue_.complete(work) == After::kEnd) co_await end(job);
      co_return;
    }
    co_await end(job);
    co_return queue_.done(work);
  }
  Error error = outcome.error();
  // It was the entry in the spool that was read, and the next run makes it again.
  const bool is_unreadable = error.kind == ErrorKind::kAbnormal && !job.refused_here;
  if (job.transformed && is_unreadable && !job.has_source_changed) {
    error = make_error(ErrorKind::kIo, "{}: its transformed content is not in the spool any more",
                       job.path);
  }
  if (error.kind == ErrorKind::kCancelled) co_return queue_.done(work);  // it stays pending
  const auto again = retry_time(job, error);
  const After after = again ? queue_.put_back(work, *again) : queue_.abandon(work, error);
  if (after == After::kEnd) co_await end(job);
}

std::optional<Clock::time_point> Worker::retry_time(Job& job, const Error& error) {
  if (sftp::ends_connection(error.kind)) {
    context_.events.on_abandoned(job);
    // However many pieces of a file were in hand, the connection ended under it once. The next
    // connection has its own patience.
    const bool is_new = charged_.insert(&job).second;
    const bool is_synced = wants_sync(*session_.client, context_.options.fsync);
    if (is_new && queue_.count_loss(job, is_synced) > kMaxLosses) return std::nullopt;
    return Clock::now();
  }
  if (error.kind == ErrorKind::kUnreachable && !is_source_at_hand(job)) {
    return retry_time_of(job.landing);
  }
  const Retries& retries = context_.options.retries;
  if (!is_retryable(error.kind)) return std::nullopt;
  const unsigned tries = queue_.count_try(job);
  if (tries > retries.limit) return std::nullopt;
  return Clock::now() + backoff(retries, tries - 1);
}

std::optional<Clock::time_point> Worker::retry_time_of(const LandingRoot* landing) {
  Outage& outage = outages_[landing];
  if (Clock::now() < outage.retry_at) return outage.retry_at;
  const Retries& retries = context_.options.retries;
  if (outage.failures >= retries.limit) return std::nullopt;
  outage.retry_at = Clock::now() + backoff(retries, outage.failures++);
  return outage.retry_at;
}

Task<void> Worker::end(Job& job) {
  job.duration = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - job.started);
  job.finished = now();
  const bool failed = job.error != nullptr;
  const bool is_void = failed || job.is_skipped;
  if (!is_void && job.is_named_later) co_return context_.events.on_uploaded(job);
  // What an error that may pass left of a large file is what the next run goes on from, and what an
  // earlier run left if it was not even looked at. The journal of a delivered one is needed until
  // the delivery is recorded.
  const bool is_untouched = failed && !job.spread && job.parts_begun == 0;
  const bool goes_on = failed && is_resumable(job) &&
                       (is_retryable(job.error->kind) || sftp::ends_connection(job.error->kind));
  if (is_void && !goes_on && !is_untouched) {
    co_await discard_part(job);
    co_await remove_outdated_part(job, context_, *session_.client);
  }
  if (!failed) queue_.add_done_file();
  context_.events.on_ended(job);
}

}  // namespace ferry::transfer
