#include "transfer/deliver/preparation.h"

#include <algorithm>

#include "transfer/batch/batch.h"
#include "transfer/deliver/backoff.h"
#include "transfer/naming/route_checks.h"
#include "transfer/transform/transform.h"

namespace ferry::transfer {
namespace {

constexpr std::size_t kBlockBytes = 256 * 1024;
constexpr std::chrono::milliseconds kLookAgain{100};

Error stopped() {
  return make_error(ErrorKind::kCancelled, "stopped");
}

}  // namespace

Preparation::Preparation(Spool* spool, const RunContext& context, const LandingRoots& roots,
                         Done done)
    : spool_(spool),
      context_(context),
      roots_(roots),
      done_(std::move(done)),
      loop_(abort_),
      sources_(loop_) {}

void Preparation::add(ToPrepare what) {
  {
    const std::scoped_lock lock(mutex_);
    waiting_.push_back({.what = std::move(what), .not_before = {}});
    if (!thread_.joinable()) thread_ = std::jthread([this] { work(); });
  }
  changed_.notify_all();
}

void Preparation::stop() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  abort_.request_stop();
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Preparation::release(const Job& job) {
  if (!job.transformed || job.transformed->entry.empty()) return;
  const bool is_delivered_alone = !job.error && !job.transformed->is_shared;
  spool_->release(job.transformed->entry, is_delivered_alone);
  changed_.notify_all();
}

void Preparation::work() {
  while (auto waiting = next()) {
    auto outcome = prepare(waiting->what);
    settle(std::move(*waiting), std::move(outcome));
  }
}

/// Those that failed and may work later come back after a while; the others go first.
std::optional<Preparation::Waiting> Preparation::next() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const auto now = Clock::now();
    const auto due = std::ranges::find_if(
        waiting_, [&](const Waiting& waiting) { return waiting.not_before <= now; });
    if (due != waiting_.end()) {
      Waiting found = std::move(*due);
      waiting_.erase(due);
      return found;
    }
    auto until = Clock::time_point::max();
    for (const Waiting& waiting : waiting_) until = std::min(until, waiting.not_before);
    if (until == Clock::time_point::max()) {
      changed_.wait(lock);
    } else {
      changed_.wait_until(lock, until);
    }
  }
  return std::nullopt;
}

void Preparation::settle(Waiting waiting, Result<void> outcome) {
  Job& job = *waiting.what.job;
  if (!outcome) {
    const Error& error = outcome.error();
    if (error.kind == ErrorKind::kCancelled) return;  // it stays pending
    const Retries& retries = context_.options.retries;
    if (is_retryable(error.kind) && waiting.tries < retries.limit) {
      waiting.not_before = Clock::now() + backoff(retries, waiting.tries++);
      const std::scoped_lock lock(mutex_);
      waiting_.push_back(std::move(waiting));
      return;
    }
    job.error = std::make_unique<Error>(error);
  }
  done_(job);
}

Result<void> Preparation::prepare(const ToPrepare& what) {
  Job& job = *what.job;
  if (what.needs_check) {
    auto checked =
        loop_.wait_for(check_source(sources_, job.landing, what.file, job.source.identity));
    if (!checked) return checked.error();
    job.source = *checked;
    if (job.transformed) job.transformed->source = *checked;
  }
  if (what.needs_acceptance) {
    const auto accepted =
        check_acceptance(*what.route, sources_, job.landing, what.file, job.source, abort_);
    if (!accepted) {
      job.refused_here =
          !context_.options.routes->decides_alone(*what.route, what.file.landing, what.file.path);
      return accepted;
    }
  }
  return job.transformed ? transform(job) : Result<void>();
}

/// What somebody has made already is sent at once.
Result<void> Preparation::transform(Job& job) {
  const Spool::Making making(*spool_, job.transformed->key);
  auto entry = spool_->find_and_hold(job.transformed->key);
  if (!entry) {
    const auto made = make(job);
    if (!made) return made.error();
    entry = *made;
    spool_->hold(entry->name);
  }
  job.transformed->entry = entry->name;
  job.source = entry->content;
  return {};
}

Result<SpoolEntry> Preparation::make(const Job& job) {
  auto writer = SpoolWriter::begin(*spool_, job.transformed->key);
  if (!writer) return writer.error();
  if (auto copied = copy(job, *writer); !copied) return copied.error();
  return writer->commit();
}

Result<void> Preparation::copy(const Job& job, SpoolWriter& writer) {
  const Transformed& transformed = *job.transformed;
  const std::uint64_t size = transformed.source.identity.size;
  auto opened =
      loop_.wait_for(sources_.open(job.landing, job.path, transformed.source.identity, {0, size}));
  if (!opened) return opened.error();
  SourceStream source(std::move(*opened), job.path, transformed.source.sha256);
  auto chain = make_chain(transformed.route->transforms, {.path = job.path, .id = job.id}, abort_);
  if (!chain) return chain.error();
  const ByteSink sink = [&](std::span<const std::byte> data) -> Result<void> {
    if (auto room = wait_for_room(data.size()); !room) return room;
    return writer.write(data);
  };
  std::vector<std::byte> block(kBlockBytes);
  for (std::uint64_t offset = 0; offset < size;) {
    if (abort_.stop_requested()) return stopped();
    const auto data = std::span(block).first(
        static_cast<std::size_t>(std::min(size - offset, kBlockBytes + 0UL)));
    auto filled = loop_.wait_for(source.await(data.size()));
    if (filled) filled = source.read(offset, data);
    if (!filled) return filled;
    if (auto written = (*chain)->write(data, sink); !written) return written;
    offset += data.size();
  }
  if (auto finished = (*chain)->finish(sink); !finished) return finished;
  return loop_.wait_for(source.verify());
}

/// What is held goes when it was sent; when nothing is, older entries that nobody here needs have
/// to make room.
Result<void> Preparation::wait_for_room(std::size_t bytes) {
  for (;;) {
    if (abort_.stop_requested()) return stopped();
    if (spool_->make_room(bytes)) return {};
    if (!spool_->holds_any()) {
      return make_error(ErrorKind::kFailed,
                        "the transformed file is larger than the spool may be: raise spool_limit "
                        "(now {} bytes)",
                        spool_->limit_bytes());
    }
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kLookAgain);
  }
}

}  // namespace ferry::transfer
