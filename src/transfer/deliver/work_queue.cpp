#include "transfer/deliver/work_queue.h"

#include <algorithm>
#include <utility>

#include "transfer/batch/batch.h"
#include "transfer/deliver/resume.h"

namespace ferry::transfer {
namespace {

/// How often wait_for_work asks whether it is still wanted.
constexpr std::chrono::milliseconds kAskAgain{100};
/// Seconds: what file systems keep times to is up to two.
constexpr std::uint32_t kTimeGrain = 2;

}  // namespace

void WorkQueue::wake_all() {
  changed_.notify_all();
  for (const auto& [who, changed] : std::exchange(waiting_, {})) changed();
}

void WorkQueue::add(std::span<Job* const> jobs) {
  const std::scoped_lock lock(mutex_);
  for (Job* const job : jobs) {
    progress_.total += kFileCost + job->source.identity.size;
    const bool is_large = job->source.identity.size > kMinChunkBytes;
    ready_.push_back({.kind = is_large ? Work::Kind::kPlan : Work::Kind::kWhole, .job = job});
  }
  wake_all();
}

void WorkQueue::add_planned(const Work& plan) {
  const std::scoped_lock lock(mutex_);
  add_locked(*plan.job);
  give_back(plan);
}

void WorkQueue::expect() {
  const std::scoped_lock lock(mutex_);
  ++expected_;
}

void WorkQueue::expect_no_more() {
  const std::scoped_lock lock(mutex_);
  --expected_;
  wake_all();
}

void WorkQueue::add_locked(Job& job) {
  if (!job.spread) {
    ready_.push_back({.kind = Work::Kind::kWhole, .job = &job});
  } else if (job.spread->waiting.empty()) {
    ready_.push_back({.kind = Work::Kind::kFinish, .job = &job});
  } else {
    progress_.done += job.spread->acknowledged.size();
    spread_.push_back(&job);
  }
  wake_all();
}

/// Before all else: somebody waits for it.
void WorkQueue::add_task(std::shared_ptr<SessionTask> task) {
  const std::scoped_lock lock(mutex_);
  ready_.push_front({.kind = Work::Kind::kTask, .task = std::move(task)});
  wake_all();
}

void WorkQueue::on_low(std::size_t mark, std::function<void()> low) {
  low_mark_ = mark;
  low_ = std::move(low);
}

std::size_t WorkQueue::backlog() const {
  const std::scoped_lock lock(mutex_);
  return ready_.size() + spread_.size();
}

bool WorkQueue::is_empty() const {
  return ready_.empty() && spread_.empty() && delayed_.empty() && expected_ == 0;
}

WorkQueue::Next WorkQueue::take(bool takes_chunks, Time now, const void* who,
                                std::function<void()> changed) {
  const std::scoped_lock lock(mutex_);
  if (const auto work = take_ready(takes_chunks, now)) {
    ++in_hand_;
    if (work->job != nullptr && work->job->started == Time()) work->job->started = now;
    if (low_ && ready_.size() + spread_.size() <= low_mark_) low_();
    return {.work = work};
  }
  if (is_empty() && in_hand_ == 0) return {.is_over = true};
  waiting_.insert_or_assign(who, std::move(changed));
  return {.wait_until = next_due(takes_chunks)};
}

void WorkQueue::forget(const void* who) {
  const std::scoped_lock lock(mutex_);
  waiting_.erase(who);
}

bool WorkQueue::wait_for_work(const std::function<bool()>& wanted) {
  std::unique_lock lock(mutex_);
  while (wanted()) {
    const Time now = std::chrono::steady_clock::now();
    if (!ready_.empty() || !spread_.empty()) return true;
    if (!delayed_.empty() && delayed_.begin()->first <= now) return true;
    if (is_empty() && in_hand_ == 0) return false;
    Time until = now + kAskAgain;
    if (!delayed_.empty()) until = std::min(until, delayed_.begin()->first);
    changed_.wait_until(lock, until);
  }
  return false;
}

std::optional<Work> WorkQueue::take_ready(bool takes_chunks, Time now) {
  if (auto due = take_due(takes_chunks, now)) return due;
  const bool has_task = !ready_.empty() && ready_.front().kind == Work::Kind::kTask;
  if (takes_chunks && !has_task) {
    if (auto chunk = take_chunk()) return chunk;
  }
  if (ready_.empty()) return std::nullopt;
  Work work = std::move(ready_.front());
  ready_.pop_front();
  return work;
}

/// The earliest of what is delayed that the caller may take at all.
std::optional<WorkQueue::Time> WorkQueue::next_due(bool takes_chunks) const {
  const auto found = std::ranges::find_if(delayed_, [&](const auto& entry) {
    return takes_chunks || entry.second.kind != Work::Kind::kChunk;
  });
  if (found == delayed_.end()) return std::nullopt;
  return found->first;
}

std::optional<Work> WorkQueue::take_due(bool takes_chunks, Time now) {
  for (auto entry = delayed_.begin(); entry != delayed_.end() && entry->first <= now; ++entry) {
    const bool is_chunk = entry->second.kind == Work::Kind::kChunk;
    if (is_chunk && !takes_chunks) continue;
    Work work = std::move(entry->second);
    delayed_.erase(entry);
    if (is_chunk) ++work.job->spread->in_hand;
    return work;
  }
  return std::nullopt;
}

std::optional<Work> WorkQueue::take_chunk() {
  if (spread_.empty()) return std::nullopt;
  Job* job = spread_.front();
  Spread& spread = *job->spread;
  const Range range = spread.waiting.front();
  spread.waiting.pop_front();
  ++spread.in_hand;
  if (spread.waiting.empty()) spread_.pop_front();
  return Work{.kind = Work::Kind::kChunk, .job = job, .range = range};
}

void WorkQueue::give_back(const Work& work) {
  --in_hand_;
  if (work.kind == Work::Kind::kChunk) --work.job->spread->in_hand;
  wake_all();
}

void WorkQueue::done(const Work& work) {
  const std::scoped_lock lock(mutex_);
  give_back(work);
}

Result<Journal*> WorkQueue::journal_of(Job& job, const std::string& destination) {
  std::optional<Journal>& journal = job.spread->journal;
  if (!journal) {
    const JournalKey key = journal_key_of(job, destination);
    const bool is_new = job.spread->acknowledged.end() == 0;
    auto opened =
        is_new ? Journal::begin(journals_, key, job.part.path) : Journal::resume(journals_, key);
    if (!opened) return opened.error().with_context("journal");
    journal.emplace(std::move(*opened));
  }
  return &*journal;
}

Result<void> WorkQueue::note(Job& job, const Acknowledged& acknowledged,
                             const std::string& destination) {
  const std::scoped_lock lock(mutex_);
  const auto journal = journal_of(job, destination);
  if (!journal) return journal.error();
  const auto& [ranges, is_synced, modified] = acknowledged;
  for (const Range& range : ranges) {
    if (auto added = (*journal)->add(range, is_synced, modified); !added) return added;
    job.spread->acknowledged.add(range);
    job.losses = 0;
  }
  job.spread->modified = std::max(job.spread->modified, modified);
  return {};
}

bool WorkQueue::has_acknowledged(const Job& job) const {
  const std::scoped_lock lock(mutex_);
  return job.spread && job.spread->acknowledged.end() > 0;
}

Result<void> WorkQueue::check_part(Job& job, const sftp::Attributes& part,
                                   const std::string& destination) {
  const std::scoped_lock lock(mutex_);
  if (!job.spread || job.part.is_doubtful) return {};
  const Spread& spread = *job.spread;
  const bool is_short = part.size && *part.size < spread.acknowledged.end();
  const bool is_old =
      part.modified && spread.modified && *part.modified + kTimeGrain < *spread.modified;
  if (!is_short && !is_old) return {};
  const auto journal = journal_of(job, destination);
  if (!journal) return journal.error();
  job.part.is_doubtful = true;
  return (*journal)->add_doubt();
}

WorkQueue::After WorkQueue::complete(const Work& chunk) {
  const std::scoped_lock lock(mutex_);
  give_back(chunk);
  return after(*chunk.job);
}

WorkQueue::After WorkQueue::after(Job& job) {
  if (job.spread && job.spread->in_hand > 0) return After::kNothing;
  if (job.error) return After::kEnd;
  if (!job.spread) return After::kNothing;
  if (!job.spread->acknowledged.covers({0, job.source.identity.size})) return After::kNothing;
  ready_.push_front({.kind = Work::Kind::kFinish, .job = &job});
  return After::kNothing;
}

WorkQueue::After WorkQueue::put_back(const Work& work, Time not_before) {
  const std::scoped_lock lock(mutex_);
  give_back(work);
  if (work.kind == Work::Kind::kTask) {
    delayed_.emplace(not_before, work);
    return After::kNothing;
  }
  if (work.job->error) return after(*work.job);
  if (work.kind != Work::Kind::kChunk) {
    delayed_.emplace(not_before, work);
    return After::kNothing;
  }
  for (const Range& range : work.job->spread->acknowledged.missing(work.range)) {
    delayed_.emplace(not_before, Work{.kind = Work::Kind::kChunk, .job = work.job, .range = range});
  }
  return after(*work.job);
}

WorkQueue::After WorkQueue::abandon(const Work& work, const Error& error) {
  const std::scoped_lock lock(mutex_);
  Job& job = *work.job;
  if (!job.error) job.error = std::make_unique<Error>(error);
  if (job.spread) {
    job.spread->waiting.clear();
    std::erase(spread_, &job);
    std::erase_if(delayed_, [&](const auto& entry) { return entry.second.job == &job; });
  }
  give_back(work);
  return after(job);
}

void WorkQueue::start_over(const Work& finish) {
  const std::scoped_lock lock(mutex_);
  plan_all(*finish.job);
  add_locked(*finish.job);
  give_back(finish);
}

unsigned WorkQueue::count_try(Job& job) {
  const std::scoped_lock lock(mutex_);
  return ++job.tries;
}

unsigned WorkQueue::count_loss(Job& job, bool is_synced) {
  const std::scoped_lock lock(mutex_);
  if (!is_synced) job.part.is_doubtful = true;
  return ++job.losses;
}

Result<void> WorkQueue::note_rename_asked(Job& job) {
  const std::scoped_lock lock(mutex_);
  job.part.rename_asked = true;
  if (!job.spread || !job.spread->journal) return {};
  return job.spread->journal->add_rename_asked();
}

WorkQueue::Progress WorkQueue::progress() const {
  const std::scoped_lock lock(mutex_);
  return {.total = std::max(progress_.total, foreseen_), .done = progress_.done};
}

void WorkQueue::foresee(std::uint64_t total) {
  const std::scoped_lock lock(mutex_);
  foreseen_ = progress_.done + total;
}

void WorkQueue::add_done_bytes(std::uint64_t bytes) {
  const std::scoped_lock lock(mutex_);
  progress_.done += bytes;
}

void WorkQueue::add_done_file() {
  const std::scoped_lock lock(mutex_);
  progress_.done += kFileCost;
}

}  // namespace ferry::transfer
