#include "transfer/run/round.h"

#include <poll.h>

#include <algorithm>
#include <limits>

#include "ferry/base/log.h"
#include "ferry/base/stop_relay.h"
#include "ferry/base/uuid.h"
#include "transfer/naming/remote_path.h"

namespace ferry::transfer {
namespace {

/// Files that are claimed at a time, and how few may be left before it is time for more: enough for
/// all connections, few enough that their names take no memory to speak of.
constexpr std::size_t kGroupSize = 1024;
constexpr std::size_t kLowWater = 1024;
constexpr std::size_t kMostJobs = 4 * kGroupSize;
/// How long what is on the way may still take once a stop was requested, and bringing the batches
/// to their end after it.
constexpr std::chrono::seconds kStopGrace{5};
constexpr std::chrono::seconds kClosingGrace{15};
/// How often an agent that is not sure of its claims asks whether it is.
constexpr std::chrono::milliseconds kAskAgain{200};

}  // namespace

Round::Round(AgentCore& core, std::function<void(const BatchSummary&)> on_completed)
    : core_(core),
      on_completed_(std::move(on_completed)),
      context_{core.batch_context, *this, core.limiter, core.cut, *core.many_handles,
               core.presence.get()},
      queue_(core.options.journals),
      preparation_(core.spool.get(), context_, core.roots, [this](Job& job) { hand_on(job); }),
      intake_(core.destination, core.options, core.roots, core.sources, core.spool.get()) {}

void Round::deliver() {
  queue_.on_low(kLowWater, [this] {
    if (wants_more_.exchange(false)) core_.wait.wake();
  });
  foresee();
  queue_.expect();
  core_.closing.use(queue_);
  Crew crew(context_, queue_, [this] { core_.wait.wake(); });
  crew.start(std::move(*core_.session));
  core_.session.reset();
  while (crew.is_running() && !is_over()) {
    heed_stop();
    close_batches_that_are_due();
    core_.closing.advance();
    for (const BatchSummary& batch : core_.closing.take_completed()) on_completed_(batch);
    if (!may_claim()) {
      if (!is_over()) wait_for_news();
    } else if (auto claimed = claim_some(); !claimed) {
      core_.failure = claimed.error();
    }
  }
  queue_.expect_no_more();
  crew.wait();
  preparation_.stop();
  core_.session = crew.take_session();
  end_what_is_left(crew.give_up_reason());
  core_.earlier_files += claimed_files_;
  core_.earlier_bytes += claimed_bytes_;
  const bool was_less = claimed_files_ > 0 && claimed_files_ < expected_files_;
  if (was_less) core_.observer.on_start(core_.earlier_files, core_.earlier_bytes);
}

Result<void> Round::bring_to_end(AgentCore& core, StopToken& connections,
                                 const std::function<void(const BatchSummary&)>& on_completed) {
  class NoFiles final : public DeliveryEvents {
    Result<void> on_part(Job&) override { return {}; }
    bool reserve_name(const Job&, const std::string&) override { return true; }
    Result<void> on_name(Job&, std::string) override { return {}; }
    Noted noted(const Job&) override { return {}; }
    void on_abandoned(const Job&) override {}
    void on_bytes(std::size_t) override {}
    void on_uploaded(Job&) override {}
    void on_ended(Job&) override {}
  } no_files;
  const RunContext context{
      {core.destination, core.options, connections, core.batch_context.lost_connections},
      no_files,
      core.limiter,
      connections,
      *core.many_handles};
  const StopRelay stopping(core.stop, connections, kClosingGrace);
  const StopRelay impatient(core.stop, core.work_stop, kClosingGrace);  // with the metastore
  while (!core.closing.is_empty()) {
    if (core.has_lost_claims()) return {};
    WorkQueue queue(core.options.journals);
    core.closing.use(queue);
    core.closing.advance();
    if (core.closing.needs_connection()) {
      if (!core.session || !core.session->is_connected()) {
        ++*context.lost_connections;
        auto session = open_session(core.destination, core.options, core.limiter, connections,
                                    core.directories);
        if (!session) {
          core.closing.give_up(session.error());
          return session.error();
        }
        core.session = std::move(*session);
      }
      Crew crew(context, queue, [&core] { core.wait.wake(); });
      queue.expect();
      crew.start(std::move(*core.session));
      core.session.reset();
      while (crew.is_running() && core.closing.needs_connection()) {
        const bool is_over = core.has_lost_claims();
        if (is_over) connections.request_stop();
        core.wait.until(core.closing.next_try(),
                        is_over ? std::vector<int>() : core.and_losses({}));
        core.closing.advance();
      }
      queue.expect_no_more();
      crew.wait();
      core.session = crew.take_session();
      if (core.has_lost_claims()) return {};
      if (const auto& reason = crew.give_up_reason()) core.closing.give_up(*reason);
      if (connections.stop_requested()) {
        core.closing.give_up(make_error(ErrorKind::kCancelled, "stopped"));
      }
    } else if (!core.closing.is_empty()) {
      core.wait.until(core.closing.next_try(), core.and_losses({}));
    }
    for (const BatchSummary& batch : core.closing.take_completed()) on_completed(batch);
  }
  for (const BatchSummary& batch : core.closing.take_completed()) on_completed(batch);
  return {};
}

/// So that as many connections are dialled as the work is worth, before it is claimed.
void Round::foresee() {
  if (!core_.options.selection.names.empty() || core_.options.selection.updated.since ||
      core_.options.selection.updated.until) {
    return;
  }
  const auto totals = core_.metastore.totals(core_.destination.name);
  if (!totals) return;
  const auto& pending = (*totals)[metastore::Standing::kPending];
  queue_.foresee(pending.bytes + pending.files * kFileCost);
  expected_files_ = pending.files;
  expected_bytes_ = pending.bytes;
}

bool Round::is_over() const {
  const bool claims = !core_.feed.is_exhausted() && !core_.failure && !is_ending();
  return !claims && !has_jobs() && !batch_ && emptying_.empty() && core_.closing.is_empty();
}

bool Round::is_ending() const {
  return core_.work_stop.stop_requested() ||
         (core_.following != nullptr && core_.following->finish.stop_requested());
}

bool Round::may_claim() const {
  if (core_.feed.is_exhausted() || core_.failure || is_ending() || is_unsure()) return false;
  const std::scoped_lock lock(jobs_mutex_);
  return jobs_.size() < kMostJobs && queue_.backlog() <= kLowWater;
}

bool Round::is_unsure() const {
  return core_.presence->tenure() != metastore::AgentPresence::Tenure::kHeld;
}

bool Round::has_jobs() const {
  const std::scoped_lock lock(jobs_mutex_);
  return !jobs_.empty();
}

void Round::heed_stop() {
  const bool has_to_stop = core_.stop.stop_requested() || core_.has_lost_claims();
  if (has_to_stop && !core_.work_stop.stop_requested()) {
    core_.work_stop.request_stop();
    stop_deadline_ = Clock::now() + kStopGrace;
  }
  if (stop_deadline_ && Clock::now() >= *stop_deadline_) core_.cut.request_stop();
}

void Round::wait_for_news() {
  wants_more_ = !core_.feed.is_exhausted();
  if (may_claim()) return;  // since we looked
  const bool follows = core_.following != nullptr && !is_ending();
  const bool wants_news = follows && core_.feed.is_exhausted();
  auto until = next_deadline();
  const auto due = wants_news ? core_.feed.next_due() : std::nullopt;
  if (due)
    until = std::min(until.value_or(Clock::time_point::max()), Clock::now() + (*due - now()));
  std::vector<int> fds{follows ? core_.following->finish.fd() : -1,
                       wants_news ? core_.notice->fd() : -1};
  if (!core_.work_stop.stop_requested()) {
    fds = core_.and_losses(std::move(fds));
    fds.push_back(core_.stop.fd());
  }
  core_.wait.until(until, fds);
  const bool has_news = wants_news && core_.has_news();
  if (has_news) core_.notice->clear();
  if (has_news || (due && now() >= *due)) core_.feed.rewind(core_.readable);
}

std::optional<Round::Clock::time_point> Round::next_deadline() const {
  auto next = core_.closing.next_try();
  const auto earlier = [&](Clock::time_point time) { next = std::min(next.value_or(time), time); };
  if (stop_deadline_ && !core_.cut.stop_requested()) earlier(*stop_deadline_);
  if (is_unsure()) earlier(Clock::now() + kAskAgain);
  if (core_.options.bounds.time.count() > 0) {
    if (batch_) earlier(batch_->due());
    for (const auto& batch : emptying_) earlier(batch->due());
  }
  return next;
}

// Batches.

Outcome<void> Round::claim_some() {
  if (!batch_) {
    if (auto opened = open_batch(); !opened) return opened;
  }
  auto claimed = core_.feed.claim(batch_->info().id, core_.presence->name(), room_in_batch());
  if (!claimed) return fail(claimed.error(), Origin::kMetastore);
  std::vector<Job*> ready;
  for (const metastore::Claim& claim : claimed->claims) {
    if (Job* const job = take(claim)) ready.push_back(job);
  }
  queue_.add(ready);
  if (claimed->is_full) is_batch_full_ = true;
  core_.observer.on_start(core_.earlier_files + std::max(claimed_files_, expected_files_),
                          core_.earlier_bytes + std::max(claimed_bytes_, expected_bytes_));
  return {};
}

Outcome<void> Round::open_batch() {
  BatchInfo info{.id = uuid_v7(),
                 .agent = core_.presence->name(),
                 .destination = core_.destination.name,
                 .directory = core_.directories.directory,
                 .control_path = {},
                 .created = now(),
                 .all_or_nothing = core_.options.batch == BatchMode::kAllOrNothing,
                 .control = core_.destination.control,
                 .sidecar = core_.destination.sidecar};
  const auto name = control_file_name(core_.destination, info.id, info.created);
  if (!name) return fail(name.error());
  info.control_path = join_remote(core_.directories.control_directory, *name);
  auto batch = Batch::open(core_.options.control_files, std::move(info));
  if (!batch) return fail(batch.error(), Origin::kMetastore);
  batch_ = std::move(*batch);
  batch_->set_presence(core_.presence);
  batch_->set_due(Clock::now() + core_.options.bounds.time);
  batch_->set_losses_seen(*context_.lost_connections);
  is_batch_full_ = false;
  return {};
}

Feed::Room Round::room_in_batch() const {
  const Batch::Counts counts = batch_->counts();
  Feed::Room room{.files = kGroupSize,
                  .bytes = std::numeric_limits<std::uint64_t>::max(),
                  .is_empty = counts.selected == 0};
  if (batch_->info().all_or_nothing) return room;
  const BatchBounds& bounds = core_.options.bounds;
  if (bounds.files > 0) {
    room.files = std::min<std::uint64_t>(room.files, bounds.files - counts.selected);
  }
  if (bounds.bytes > 0) room.bytes = bounds.bytes - std::min(bounds.bytes, counts.claimed_bytes);
  return room;
}

/// The job, if it is ready to be sent.
Job* Round::take(const metastore::Claim& claim) {
  auto taken = intake_.take(claim, *batch_, core_.work_stop);
  Job& job = *taken.job;
  claimed_bytes_ += job.source.identity.size;
  ++claimed_files_;
  {
    const std::scoped_lock lock(jobs_mutex_);
    jobs_.emplace(&job, std::move(taken.job));
  }
  if (taken.to_prepare) {
    preparation_.add(std::move(*taken.to_prepare));
  } else if (job.error) {
    hand_on(job);
  } else {
    return &job;
  }
  return nullptr;
}

/// Also on the thread of the preparation.
void Round::hand_on(Job& job) {
  if (!job.error) return queue_.add(job);
  job.finished = now();
  on_ended(job);
}

/// The batch that takes files takes no more once it is full, or there are none; one that takes none
/// has ended with its last file.
void Round::close_batches_that_are_due() {
  if (batch_ && is_complete(*batch_)) emptying_.push_back(std::move(batch_));
  if (core_.options.bounds.time.count() > 0 && core_.options.batch == BatchMode::kIndependent) {
    carry_over_what_is_late();
  }
  std::erase_if(emptying_, [this](std::unique_ptr<Batch>& batch) {
    if (batch->counts().open() > 0) return false;
    retire(std::move(batch));
    return true;
  });
}

bool Round::is_complete(const Batch& batch) const {
  const Batch::Counts counts = batch.counts();
  const bool has_no_more = core_.feed.is_exhausted() || core_.failure || is_ending();
  if (has_no_more) return core_.following == nullptr || is_ending() || counts.open() == 0;
  if (batch.info().all_or_nothing) return false;
  const std::uint64_t most = core_.options.bounds.files;
  return is_batch_full_ || (most > 0 && counts.selected >= most);
}

/// What has been delivered is not to wait for a large file.
void Round::carry_over_what_is_late() {
  const auto now = Clock::now();
  if (batch_ && now >= batch_->due()) emptying_.push_back(std::move(batch_));
  for (std::size_t i = 0; i < emptying_.size(); ++i) {
    Batch& old = *emptying_[i];
    if (now < old.due()) continue;
    const Batch::Counts counts = old.counts();
    old.set_due(now + core_.options.bounds.time);
    if (counts.open() == 0 || counts.ended() == 0) continue;
    if (!batch_) {
      if (auto opened = open_batch(); !opened) {
        core_.failure = opened.error();
        return;
      }
    }
    carry_over(old, *batch_);
  }
}

void Round::carry_over(Batch& old, Batch& next) {
  const std::scoped_lock lock(jobs_mutex_);
  for (auto& [key, job] : jobs_) {
    if (job->batch != &old) continue;
    // A control file lists a name once: it waits, and its batch with it.
    if (!next.take_name(job->remote_path)) continue;
    if (!old.hand_over(*job, next)) return;  // the disk is full, say: it waits
    job->batch = &next;
  }
}

void Round::retire(std::unique_ptr<Batch> batch) {
  const bool left_nothing = batch->counts().selected == 0 && !batch->has_abandoned_parts();
  if (left_nothing) return batch->journal().remove();
  core_.closing.add(std::move(batch), BatchClosing::Origin::kOurs);
}

/// No connection could be had any more, for REASON; or we were stopped, and it stays pending.
void Round::end_what_is_left(const std::optional<Error>& reason) {
  if (core_.has_lost_claims()) return;  // the journals say what there was
  if (!core_.feed.is_exhausted() && is_ending()) core_.was_cut_short = true;
  if (reason && !core_.work_stop.stop_requested()) core_.lost = reason;
  end_jobs(core_.work_stop.stop_requested() ? std::nullopt : reason);
  if (batch_) emptying_.push_back(std::move(batch_));
  for (auto& batch : emptying_) {
    // One that was to be all or nothing, and is neither, is for the next run to clear away.
    const bool is_half = batch->info().all_or_nothing && core_.was_cut_short;
    if (!is_half) retire(std::move(batch));
  }
  emptying_.clear();
}

void Round::end_jobs(const std::optional<Error>& reason) {
  std::vector<Job*> left;
  {
    const std::scoped_lock lock(jobs_mutex_);
    for (const auto& [key, job] : jobs_) left.push_back(job.get());
  }
  for (Job* job : left) {
    if (reason) {
      on_abandoned(*job);
      job->error = std::make_unique<Error>(*reason);
      job->finished = now();
      on_ended(*job);
    } else {
      core_.was_cut_short = true;
      const std::scoped_lock lock(jobs_mutex_);
      job->batch->drop(*job);
      jobs_.erase(job);
    }
  }
}

// What workers tell of.

void Round::on_bytes(std::size_t acknowledged) {
  core_.observer.on_bytes(acknowledged);
}

Result<void> Round::on_part(Job& job) {
  const std::scoped_lock lock(jobs_mutex_);
  return job.batch->note_part(job);
}

bool Round::reserve_name(const Job& job, const std::string& remote_path) {
  const std::scoped_lock lock(jobs_mutex_);
  return job.batch->take_name(remote_path);
}

Result<void> Round::on_name(Job& job, std::string remote_path) {
  const std::scoped_lock lock(jobs_mutex_);
  return job.batch->note_name(job, std::move(remote_path));
}

Round::Noted Round::noted(const Job& job) {
  const std::scoped_lock lock(jobs_mutex_);
  return {job.batch->shared_journal(), job.noted};
}

void Round::on_abandoned(const Job& job) {
  const std::scoped_lock lock(jobs_mutex_);
  if (!job.spread) job.batch->abandon_part(job.part.path);
}

void Round::on_uploaded(Job& job) {
  preparation_.release(job);
  finish(job, [](Batch& batch, Job& uploaded) { batch.note_uploaded(uploaded); });
}

void Round::on_ended(Job& job) {
  preparation_.release(job);
  if (job.error) {
    core_.observer.on_failed(outcome_of(job), *job.error);
  } else if (!job.is_named_later) {
    core_.observer.on_delivered(outcome_of(job));
  }
  finish(job, [](Batch& batch, Job& ended) { batch.note_end(ended); });
}

void Round::finish(Job& job, void (*note)(Batch& batch, Job& job)) {
  bool is_last = false;
  {
    const std::scoped_lock lock(jobs_mutex_);
    Batch& batch = *job.batch;
    note(batch, job);
    is_last = batch.counts().open() == 0;
    jobs_.erase(&job);
  }
  if (is_last || wants_more_.exchange(false)) core_.wait.wake();
}

}  // namespace ferry::transfer
