#include "transfer/work_queue.h"

#include <algorithm>

namespace ferry::transfer {
namespace {

/// For jobs that are still being made.
constexpr std::chrono::milliseconds kLookAgain{20};

}  // namespace

void WorkQueue::add(Job& job) {
  const std::scoped_lock lock(mutex_);
  add_locked(job);
}

void WorkQueue::expect(std::size_t jobs) {
  const std::scoped_lock lock(mutex_);
  expected_ += jobs;
}

void WorkQueue::add_expected(Job& job) {
  const std::scoped_lock lock(mutex_);
  add_locked(job);
  --expected_;
}

void WorkQueue::withdraw_expected() {
  const std::scoped_lock lock(mutex_);
  --expected_;
}

void WorkQueue::add_locked(Job& job) {
  progress_.total += kFileCost;
  if (!job.spread) {
    progress_.total += job.source.identity.size;
    ready_.push_back({Work::Kind::kWhole, &job, {}});
  } else if (job.spread->waiting.empty()) {
    ready_.push_back({Work::Kind::kFinish, &job, {}});
  } else {
    for (const Range& range : job.spread->waiting) progress_.total += range.size();
    spread_.push_back(&job);
  }
}

void WorkQueue::add_finish(Job& job) {
  const std::scoped_lock lock(mutex_);
  progress_.total += kFileCost;
  ready_.push_back({Work::Kind::kFinish, &job, {}});
}

WorkQueue::Next WorkQueue::take(bool takes_chunks, Time now) {
  const std::scoped_lock lock(mutex_);
  if (const auto work = take_ready(takes_chunks, now)) {
    if (work->job->started == Time()) work->job->started = now;
    return {work, {}};
  }
  std::optional<Time> wait_until;
  if (!delayed_.empty()) wait_until = delayed_.begin()->first;
  if (expected_ > 0) wait_until = std::min(wait_until.value_or(Time::max()), now + kLookAgain);
  return {{}, wait_until};
}

std::optional<Work> WorkQueue::take_ready(bool takes_chunks, Time now) {
  if (auto due = take_due(takes_chunks, now)) return due;
  if (takes_chunks) {
    if (auto chunk = take_chunk()) return chunk;
  }
  if (ready_.empty()) return std::nullopt;
  const Work work = ready_.front();
  ready_.pop_front();
  return work;
}

std::optional<Work> WorkQueue::take_due(bool takes_chunks, Time now) {
  for (auto entry = delayed_.begin(); entry != delayed_.end() && entry->first <= now; ++entry) {
    const Work work = entry->second;
    const bool is_chunk = work.kind == Work::Kind::kChunk;
    if (is_chunk && !takes_chunks) continue;
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
  return Work{Work::Kind::kChunk, job, range};
}

WorkQueue::After WorkQueue::after(const Job& job) const {
  if (job.spread && job.spread->in_hand > 0) return After::kNothing;
  if (job.error) return After::kEnd;
  if (!job.spread) return After::kNothing;
  const bool is_delayed =
      std::ranges::any_of(delayed_, [&](const auto& entry) { return entry.second.job == &job; });
  return job.spread->waiting.empty() && !is_delayed ? After::kFinish : After::kNothing;
}

WorkQueue::After WorkQueue::put_back(const Work& work, Time not_before) {
  const std::scoped_lock lock(mutex_);
  if (work.kind == Work::Kind::kChunk) --work.job->spread->in_hand;
  if (!work.job->error) delayed_.emplace(not_before, work);
  return after(*work.job);
}

Result<WorkQueue::After> WorkQueue::complete(const Work& chunk, const JournalKey& key) {
  const std::scoped_lock lock(mutex_);
  if (auto noted = note_acknowledged(chunk, key); !noted) return noted.error();
  --chunk.job->spread->in_hand;
  chunk.job->losses = 0;
  return after(*chunk.job);
}

Result<void> WorkQueue::note_acknowledged(const Work& chunk, const JournalKey& key) {
  Spread& spread = *chunk.job->spread;
  if (!spread.journal) {
    auto journal = Journal::open(journals_, key);
    if (!journal) return journal.error();
    spread.journal.emplace(std::move(*journal));
  }
  return spread.journal->add(chunk.range);
}

WorkQueue::After WorkQueue::abandon(const Work& work, const Error& error) {
  const std::scoped_lock lock(mutex_);
  Job& job = *work.job;
  if (!job.error) job.error = std::make_unique<Error>(error);
  if (job.spread) {
    if (work.kind == Work::Kind::kChunk) --job.spread->in_hand;
    job.spread->waiting.clear();
    std::erase(spread_, &job);
    std::erase_if(delayed_, [&](const auto& entry) { return entry.second.job == &job; });
  }
  return after(job);
}

unsigned WorkQueue::count_try(Job& job) {
  const std::scoped_lock lock(mutex_);
  return ++job.tries;
}

unsigned WorkQueue::count_loss(Job& job) {
  const std::scoped_lock lock(mutex_);
  return ++job.losses;
}

Result<void> WorkQueue::note_publishing(Job& job) {
  const std::scoped_lock lock(mutex_);
  job.publishing = true;
  if (!job.spread || !job.spread->journal) return {};
  return job.spread->journal->add_publishing();
}

WorkQueue::Progress WorkQueue::progress() const {
  const std::scoped_lock lock(mutex_);
  return progress_;
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
