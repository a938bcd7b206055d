#include "transfer/worker.h"

#include <sys/resource.h>

#include <algorithm>

#include "transfer/backoff.h"
#include "transfer/batch.h"
#include "transfer/remote_path.h"

namespace ferry::transfer {
namespace {

using Clock = std::chrono::steady_clock;
using After = WorkQueue::After;

/// What this process has open beside the files that it sends.
constexpr std::size_t kOtherOpenFiles = 64;
/// For servers that do not tell how many files they keep open.
constexpr std::size_t kAssumedOpenHandles = 64;
/// Chunks that one connection works on: enough that opening, syncing and closing cost no time on a
/// long line, few enough that the others get their share.
constexpr std::size_t kMaxChunksInHand = 8;
/// What a larger file leaves in the page cache is given back: it would push out what others need.
constexpr std::uint64_t kMaxCachedBytes = 1ULL << 30;
/// A file under which this many connections ended, one after another and without any of it getting
/// through, is taken for the cause.
constexpr unsigned kMaxLosses = 20;

bool comes_from_a_server(const Job& job) {
  return job.landing != nullptr && job.landing->is_remote();
}

}  // namespace

/// As many files as both sides may have open at once.
std::size_t Worker::lanes() const {
  const std::uint64_t handles = session_.client->limits().max_open_handles;
  const std::size_t there = handles > 0 ? static_cast<std::size_t>(handles) : kAssumedOpenHandles;
  struct rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const std::size_t here =
      (std::max<std::size_t>(limit.rlim_cur, 2 * kOtherOpenFiles) - kOtherOpenFiles) /
      context_.destination.connections;
  return std::max<std::size_t>(1, std::min({context_.options.limits.files_in_flight, here, there}));
}

Result<void> Worker::run() {
  for (std::size_t i = 0; i < lanes(); ++i) session_.client->spawn(lane());
  auto ended = session_.client->run();
  if (ended && lost_) return *lost_;
  return ended;
}

sftp::Task<void> Worker::lane() {
  while (!context_.stop.stop_requested() && !lost_) {
    const auto next = queue_.take(chunks_in_hand_ < kMaxChunksInHand, Clock::now());
    if (next.work) {
      co_await perform(*next.work);
    } else if (next.wait_until) {
      co_await session_.client->sleep_until(*next.wait_until);
    } else {
      co_return;
    }
  }
}

sftp::Task<void> Worker::perform(Work work) {
  Job& job = *work.job;
  Result<void> outcome;
  switch (work.kind) {
    case Work::Kind::kWhole:
      outcome = co_await send_whole(job);
      break;
    case Work::Kind::kChunk:
      ++chunks_in_hand_;
      outcome = co_await send_chunk(work);
      --chunks_in_hand_;
      break;
    case Work::Kind::kFinish:
      outcome = co_await finish(job);
      break;
  }
  co_await settle(work, std::move(outcome));
}

sftp::Task<Result<void>> Worker::send_whole(Job& job) {
  const Target target = target_of(job);
  if (job.publishing) {
    const auto renamed = co_await was_renamed(*session_.client, target);
    if (!renamed) co_return renamed.error();
    if (*renamed) co_return Result<void>();
  }
  auto opened =
      sources_.open(content_root(job), content_path(job), job.source.identity, {0, target.size});
  if (!opened) co_return opened.error();
  SourceStream source(std::move(*opened), content_path(job), job.source.sha256);
  const auto directory = co_await session_.directories->ensure(remote_parent(job.remote_path));
  if (!directory) co_return directory;
  const Content content{
      .read = [&](std::uint64_t offset, std::span<std::byte> buffer) -> Result<void> {
        if (context_.stop.stop_requested()) return make_error(ErrorKind::kCancelled, "stopped");
        return source.read(offset, buffer);
      },
      .on_acknowledged = [&](std::uint64_t, std::size_t size) { acknowledged(size); }};
  auto outcome = co_await upload_part(session_, target, content, context_.options);
  if (outcome) outcome = source.verify();
  if (!outcome || context_.phase == Phase::kUpload) co_return outcome;
  co_return co_await rename(job, target);
}

sftp::Task<Result<void>> Worker::send_chunk(const Work& chunk) {
  const Target target = target_of(*chunk.job);
  const auto directory = co_await session_.directories->ensure(remote_parent(target.final_path));
  if (!directory) co_return directory;
  auto written = co_await write_chunk(chunk, target);
  if (!written) {
    const Error error = co_await explain(*session_.client, written.error(), target);
    co_return error;
  }
  co_return written;
}

sftp::Task<Result<void>> Worker::write_chunk(const Work& chunk, const Target& target) {
  const Job& job = *chunk.job;
  const auto opened =
      sources_.open(content_root(job), content_path(job), job.source.identity, chunk.range);
  if (!opened) co_return opened.error();
  Source& source = **opened;
  const auto handle = co_await handles_.borrow(target);
  if (!handle) co_return handle.error();
  const sftp::SourceReader read = [&](std::uint64_t offset,
                                      std::span<std::byte> buffer) -> Result<void> {
    if (context_.stop.stop_requested()) return make_error(ErrorKind::kCancelled, "stopped");
    return source.read(offset, buffer);
  };
  const sftp::OnAcknowledged count = [&](std::uint64_t, std::size_t size) { acknowledged(size); };
  auto outcome =
      co_await session_.client->write(*handle, chunk.range.begin, chunk.range.end, read, count);
  if (target.size > kMaxCachedBytes) {
    source.drop_from_cache(chunk.range.begin, chunk.range.size());
  }
  if (outcome) outcome = co_await sync_part(*session_.client, *handle, context_.options.fsync);
  const auto closed = co_await handles_.give_back(target.part_path);
  if (outcome && !closed) co_return closed;
  co_return outcome;
}

sftp::Task<Result<void>> Worker::finish(Job& job) {
  const Target target = target_of(job);
  if (job.publishing) {
    const auto renamed = co_await was_renamed(*session_.client, target);
    if (!renamed) co_return renamed.error();
    if (*renamed) co_return Result<void>();
  }
  const auto verified = co_await verify_part(session_, target, depth_for(job));
  if (!verified) co_return verified;
  if (!job.transformed) {  // what is in the spool was read from an unchanged source
    const auto opened =
        sources_.open(job.landing, job.path, job.source.identity, {target.size, target.size});
    if (!opened) co_return opened.error();
    Source& source = **opened;
    Result<void> unchanged;
    if (comes_from_a_server(job)) {
      unchanged = source.verify_unchanged();  // what B has was read back, see depth_for
    } else {
      unchanged =
          co_await prove_unchanged(*session_.client, source, job.path, job.source, context_.stop);
    }
    if (!unchanged) co_return unchanged;
  }
  if (context_.phase == Phase::kUpload) co_return Result<void>();
  co_return co_await rename(job, target);
}

/// Size and time, which is all that a server tells, do not prove that pieces are of one version:
/// what B has of them does.
Verify Worker::depth_for(const Job& job) const {
  const Verify depth = context_.options.verify;
  const bool is_proven_by_identity = job.transformed || !comes_from_a_server(job);
  return depth == Verify::kSize && !is_proven_by_identity ? Verify::kReadback : depth;
}

sftp::Task<Result<void>> Worker::rename(Job& job, const Target& target) {
  const auto noted = queue_.note_publishing(job);
  if (!noted) co_return noted;
  co_return co_await rename_part(*session_.client, target);
}

void Worker::acknowledged(std::size_t bytes) {
  made_progress_ = true;
  queue_.add_done_bytes(bytes);
  context_.observer.on_bytes(bytes);
}

sftp::Task<void> Worker::settle(Work work, Result<void> outcome) {
  Job& job = *work.job;
  if (outcome) outages_.erase(job.landing);
  if (outcome && work.kind != Work::Kind::kChunk) {
    co_await end(job);
    co_return;
  }
  if (outcome) {
    const auto after = queue_.complete(work, journal_key_of(job, context_.destination.name));
    if (after) {
      co_await follow_up(work, *after);
      co_return;
    }
    outcome = after.error().with_context("journal");
  }
  Error error = outcome.error();
  // It was the entry in the spool that was read, and the next run makes it again.
  if (job.transformed && error.kind == ErrorKind::kAbnormal) {
    error = make_error(ErrorKind::kIo, "{}: its transformed content is not in the spool any more",
                       job.path);
  }
  if (error.kind == ErrorKind::kCancelled) co_return;  // not its fault: it stays pending
  if (sftp::ends_connection(error.kind) && !lost_) lost_ = error;
  const auto again = retry_time(job, error);
  co_await follow_up(work, again ? queue_.put_back(work, *again) : queue_.abandon(work, error));
}

std::optional<Clock::time_point> Worker::retry_time(Job& job, const Error& error) {
  if (sftp::ends_connection(error.kind)) {
    // However many pieces of a file were in hand, the connection ended under it once. The next
    // connection has its own patience.
    const bool is_new = charged_.insert(&job).second;
    if (is_new && queue_.count_loss(job) > kMaxLosses) return std::nullopt;
    return Clock::now();
  }
  if (error.kind == ErrorKind::kUnreachable && comes_from_a_server(job)) {
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

sftp::Task<void> Worker::follow_up(Work work, After after) {
  Job& job = *work.job;
  if (after == After::kFinish && context_.phase == Phase::kUpload) {
    co_await end(job);
  } else if (after == After::kFinish) {
    co_await perform({Work::Kind::kFinish, &job, {}});
  } else if (after == After::kEnd) {
    co_await end(job);
  }
}

sftp::Task<void> Worker::end(Job& job) {
  job.duration = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - job.started);
  const bool failed = job.error != nullptr;
  if (!failed && context_.phase == Phase::kUpload) {
    job.uploaded = true;
    if (context_.on_content_done) context_.on_content_done(job);
    co_return;
  }
  // What an error that may pass left of a large file is what the next run goes on from. The journal
  // of a delivered one is needed until the delivery is recorded.
  const bool resumable = failed && job.spread &&
                         (is_retryable(job.error->kind) || sftp::ends_connection(job.error->kind));
  job.spread.reset();
  if (failed && !resumable) {
    Journal::remove(context_.options.journals, job.id, context_.destination.name);
    [[maybe_unused]] const auto removed =
        co_await session_.client->remove(target_of(job).part_path);
  }
  end_job(job, std::move(job.error));
  if (context_.on_content_done) context_.on_content_done(job);
  if (failed) {
    context_.observer.on_failed(outcome_of(job), *job.error);
  } else {
    queue_.add_done_file();
    context_.observer.on_delivered(outcome_of(job));
  }
}

}  // namespace ferry::transfer
