#include "transfer/transform_ahead.h"

#include <algorithm>

#include "transfer/backoff.h"
#include "transfer/batch.h"
#include "transfer/resume.h"
#include "transfer/transform/transform.h"

namespace ferry::transfer {
namespace {

constexpr std::size_t kBlockBytes = 256 * 1024;
constexpr std::chrono::milliseconds kLookAgain{100};

}  // namespace

void TransformAhead::add(Job& job) {
  waiting_.push_back({.job = &job, .not_before = {}, .tries = 0});
}

void TransformAhead::hold(const Job& job) {
  const std::scoped_lock lock(mutex_);
  ++held_[job.transformed->entry];
}

void TransformAhead::start() {
  if (waiting_.empty()) return;
  used_bytes_ = spool_.used_bytes();
  queue_.expect(waiting_.size());
  thread_ = std::jthread([this] { work(); });
}

void TransformAhead::stop() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  abort_.request_stop();
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void TransformAhead::on_content_done(const Job& job) {
  if (!job.transformed || job.transformed->entry.empty()) return;
  const bool is_delivered_alone = !job.error && !job.transformed->is_shared;
  {
    const std::scoped_lock lock(mutex_);
    const auto held = held_.find(job.transformed->entry);
    if (held == held_.end()) return;
    if (--held->second == 0) held_.erase(held);
    if (is_delivered_alone && !held_.contains(job.transformed->entry)) {
      spool_.remove(job.transformed->entry);
    }
  }
  changed_.notify_all();
}

void TransformAhead::work() {
  while (const auto waiting = next()) settle(*waiting, make(*waiting->job));
}

/// Those that failed and may work later come back after a while; the others go first.
std::optional<TransformAhead::Waiting> TransformAhead::next() {
  std::unique_lock lock(mutex_);
  while (!stopping_ && !waiting_.empty()) {
    const auto now = Clock::now();
    const auto due = std::ranges::find_if(
        waiting_, [&](const Waiting& waiting) { return waiting.not_before <= now; });
    if (due != waiting_.end()) {
      const Waiting found = *due;
      waiting_.erase(due);
      return found;
    }
    changed_.wait_for(lock, kLookAgain);
  }
  return std::nullopt;
}

void TransformAhead::settle(Waiting waiting, const Result<SpoolEntry>& made) {
  Job& job = *waiting.job;
  if (made) {
    job.transformed->entry = made->name;
    job.source = made->content;
    hold(job);
    plan_afresh(job);
    queue_.add_expected(job);
    return;
  }
  const Error& error = made.error();
  if (error.kind == ErrorKind::kCancelled) return;  // it stays pending
  const Retries& retries = context_.options.retries;
  if (is_retryable(error.kind) && waiting.tries < retries.limit) {
    waiting.not_before = Clock::now() + backoff(retries, waiting.tries++);
    const std::scoped_lock lock(mutex_);
    waiting_.push_back(waiting);
    return;
  }
  end_job(job, std::make_unique<Error>(error));
  context_.observer.on_failed(outcome_of(job), error);
  queue_.withdraw_expected();
}

Result<SpoolEntry> TransformAhead::make(const Job& job) {
  const Transformed& transformed = *job.transformed;
  const std::uint64_t size = transformed.source.identity.size;
  auto opened = sources_.open(job.landing, job.path, transformed.source.identity, {0, size});
  if (!opened) return opened.error();
  SourceStream source(std::move(*opened), job.path, transformed.source.sha256);
  auto writer = SpoolWriter::begin(spool_, transformed.key);
  if (!writer) return writer.error();
  auto chain = make_chain(transformed.route->transforms, {.path = job.path, .id = job.id}, abort_);
  if (!chain) return chain.error();
  const ByteSink sink = [&](std::span<const std::byte> data) -> Result<void> {
    if (auto room = wait_for_room(data.size()); !room) return room;
    used_bytes_ += data.size();
    return writer->write(data);
  };
  std::vector<std::byte> block(kBlockBytes);
  for (std::uint64_t offset = 0; offset < size;) {
    if (abort_.stop_requested()) return make_error(ErrorKind::kCancelled, "stopped");
    const auto data = std::span(block).first(
        static_cast<std::size_t>(std::min(size - offset, kBlockBytes + 0UL)));
    if (auto filled = source.read(offset, data); !filled) return filled.error();
    if (auto written = (*chain)->write(data, sink); !written) return written.error();
    offset += data.size();
  }
  if (auto finished = (*chain)->finish(sink); !finished) return finished.error();
  if (auto verified = source.verify(); !verified) return verified.error();
  return writer->commit();
}

/// What is held goes when it was sent; when nothing is, older entries that nobody here needs have
/// to make room.
Result<void> TransformAhead::wait_for_room(std::size_t bytes) {
  const std::uint64_t limit = spool_.limit_bytes();
  while (used_bytes_ + bytes > limit) {
    if (abort_.stop_requested()) return make_error(ErrorKind::kCancelled, "stopped");
    if (bytes < limit) {
      spool_.shrink_to(limit - bytes, [this](const std::string& entry) { return is_held(entry); });
    }
    used_bytes_ = spool_.used_bytes();
    if (used_bytes_ + bytes <= limit) break;
    std::unique_lock lock(mutex_);
    if (held_.empty()) {
      return make_error(ErrorKind::kFailed,
                        "the transformed file is larger than the spool may be: raise spool_limit "
                        "(now {} bytes)",
                        limit);
    }
    changed_.wait_for(lock, kLookAgain);
  }
  return {};
}

bool TransformAhead::is_held(const std::string& entry) {
  const std::scoped_lock lock(mutex_);
  return held_.contains(entry);
}

}  // namespace ferry::transfer
