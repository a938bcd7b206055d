#include "transfer/batch/batch_closing.h"

#include <algorithm>

#include "ferry/base/log.h"
#include "transfer/batch/new_address.h"
#include "transfer/batch/pushing.h"
#include "transfer/deliver/backoff.h"
#include "transfer/naming/kept_aside.h"
#include "transfer/naming/naming.h"
#include "transfer/run/tenure.h"

namespace ferry::transfer {
namespace {

using metastore::TransferRecord;
using metastore::TransferStatus;
using sftp::Task;

/// Rows that transfer_logs gets at once.
constexpr std::size_t kGroupSize = 4096;
/// For how long a metastore that cannot be written, or a full disk, is waited for. Then the next
/// run goes on by the journal; an agent that follows is its own next run.
constexpr std::chrono::seconds kPatience{30};
constexpr Retries kPause{.limit = 0,
                         .first_delay = std::chrono::milliseconds(200),
                         .longest_delay = std::chrono::seconds(10)};

TransferRecord record_of(const BatchInfo& batch, const BatchFile& file, const BatchEnd& end) {
  TransferRecord record;
  record.id = file.id;
  record.date = end.date;
  record.destination = batch.destination;
  record.batch_id = batch.id;
  record.agent = batch.agent;
  record.attempt = file.attempt;
  record.duration_ms = end.duration.count();
  record.remote_path = file.remote_path;
  if (end.is_skipped) {
    // It is in no control file: nothing that is asked of its batch concerns it.
    record.batch_id.clear();
    record.status = TransferStatus::kSuccessful;
    record.error = metastore::TransferError{
        .kind = std::string(kSkippedKind),
        .message = "not sent: the destination has another file of this name",
        .retryable = false};
  } else if (end.failure) {
    record.status = TransferStatus::kFailed;
    record.error = metastore::TransferError{.kind = end.failure->kind,
                                            .message = end.failure->message,
                                            .retryable = end.failure->retryable};
  } else {
    record.status = TransferStatus::kSuccessful;
    record.bytes = static_cast<std::int64_t>(file.size);
    record.checksum = file.sha256;
  }
  return record;
}

}  // namespace

BatchClosing::BatchClosing(metastore::Metastore& metastore, const BatchContext& context,
                           Observer& observer, std::function<void()> wake)
    : metastore_(metastore), context_(context), observer_(observer), wake_(std::move(wake)) {}

void BatchClosing::use(WorkQueue& queue) {
  queue_ = &queue;
  for (Closing& closing : closing_) {
    if (closing.task && !closing.outcome) submit(closing);
  }
}

void BatchClosing::add(std::unique_ptr<Batch> batch, Origin origin) {
  closing_.push_back({.batch = std::move(batch),
                      .origin = origin,
                      .step = Step::kBegin,
                      .kept = {},
                      .task = {},
                      .outcome = {},
                      .tries = 0,
                      .recorded = 0,
                      .large = {},
                      .first_try = {},
                      .next_try = {}});
}

bool BatchClosing::needs_connection() const {
  const std::scoped_lock lock(mutex_);
  return std::ranges::any_of(closing_, [](const Closing& closing) {
    return closing.step == Step::kBegin || (closing.task && !closing.outcome);
  });
}

std::optional<BatchClosing::Clock::time_point> BatchClosing::next_try() const {
  std::optional<Clock::time_point> next;
  for (const Closing& closing : closing_) {
    if (closing.task || closing.tries == 0) continue;
    next = std::min(next.value_or(closing.next_try), closing.next_try);
  }
  return next;
}

void BatchClosing::advance() {
  for (auto closing = closing_.begin(); closing != closing_.end();) {
    while (closing->step != Step::kDone && advance(*closing)) {
    }
    closing = closing->step == Step::kDone ? closing_.erase(closing) : std::next(closing);
  }
}

bool BatchClosing::advance(Closing& closing) {
  if (is_lost(closing.batch->presence())) return false;
  if (closing.task) {
    std::optional<Result<void>> outcome;
    {
      const std::scoped_lock lock(mutex_);
      outcome = std::exchange(closing.outcome, std::nullopt);
    }
    if (!outcome) return false;
    closing.task = nullptr;
    return after_task(closing, *outcome);
  }
  switch (closing.step) {
    case Step::kBegin:
      return begin(closing);
    case Step::kFailures:
      return go_on(closing, Step::kControl, [&] { return record(closing, false); });
    case Step::kControl:
      if (closing.batch->counts().delivered == 0 || closing.batch->journal().is_pushed()) {
        return push(closing);
      }
      if (!closing.kept) {
        return go_on(closing, Step::kControl, [&] { return write_control_file(closing); });
      }
      return push(closing);
    case Step::kPushed:
      return go_on(closing, Step::kSuccesses,
                   [&] { return closing.batch->journal().note_pushed(); });
    case Step::kSuccesses:
      return go_on(closing, Step::kTidying, [&] { return record(closing, true); });
    case Step::kTidying:
      return go_on(closing, Step::kDone, [&] { return complete(closing); });
    default:
      return false;
  }
}

bool BatchClosing::begin(Closing& closing) {
  Batch& batch = *closing.batch;
  if (closing.origin == Origin::kDeadAgents) {
    start(closing, Step::kLooking,
          [this, &batch](Session& session) { return take_over(session, batch, context_); });
    return false;
  }
  if (!batch.info().all_or_nothing) {
    closing.step = Step::kFailures;
    return true;
  }
  if (batch.counts().failed == 0) {
    start(closing, Step::kTargets,
          [&batch](Session& session) { return look_at_targets(session, batch); });
  } else {
    start(closing, Step::kRollingBack,
          [&batch](Session& session) { return roll_back(session, batch); });
  }
  return false;
}

bool BatchClosing::after_task(Closing& closing, const Result<void>& outcome) {
  Batch& batch = *closing.batch;
  const bool was_lost = !outcome && sftp::ends_connection(outcome.error().kind);
  if (closing.step == Step::kTargets && outcome) {
    auto noted = batch.journal().note_naming();
    if (noted) noted = batch.journal().sync();
    if (!noted) {
      fail(closing, noted.error());
      return true;
    }
    start(closing, Step::kNaming,
          [&batch](Session& session) { return give_names(session, batch); });
    return false;
  }
  if ((closing.step == Step::kTargets || closing.step == Step::kNaming) && !outcome && !was_lost) {
    log::error("batch rolled back", {{"batch_id", batch.info().id},
                                     {"destination", batch.info().destination},
                                     {"error", outcome.error().message}});
    start(closing, Step::kRollingBack,
          [&batch](Session& session) { return roll_back(session, batch); });
    return false;
  }
  if (!outcome) {
    fail(closing, outcome.error());
    return true;
  }
  if (closing.step == Step::kPushing) {
    closing.step = closing.kept ? Step::kPushed : Step::kTidying;
    return true;
  }
  closing.step = Step::kFailures;
  if (auto counted = batch.recount(); !counted) fail(closing, counted.error());
  return true;
}

void BatchClosing::start(Closing& closing, Step step,
                         std::function<Task<Result<void>>(Session&)> task) {
  closing.step = step;
  closing.task = std::move(task);
  submit(closing);
}

void BatchClosing::submit(Closing& closing) {
  auto task = std::make_shared<SessionTask>();
  task->run = closing.task;
  task->done = [this, &closing](const Result<void>& outcome) {
    {
      const std::scoped_lock lock(mutex_);
      closing.outcome = outcome;
    }
    wake_();
  };
  queue_->add_task(std::move(task));
}

bool BatchClosing::go_on(Closing& closing, Step next, const std::function<Result<void>()>& work) {
  const auto now = Clock::now();
  if (closing.tries > 0 && now < closing.next_try) return false;
  const auto done = work();
  if (done) {
    closing.tries = 0;
    closing.recorded = 0;
    closing.step = next;
    return true;
  }
  if (closing.tries == 0) closing.first_try = now;
  const bool is_patient = !context_.stop.stop_requested() && now - closing.first_try < kPatience;
  if (!is_retryable(done.error().kind) || !is_patient) {
    // Of what is written down here only the control file may fail at something else: its signature.
    const bool is_signing =
        closing.step == Step::kControl && done.error().kind == ErrorKind::kFailed;
    const auto origin = is_signing ? ferry::Origin::kLocal : ferry::Origin::kMetastore;
    if (!record_failure_) record_failure_ = Failure{origin, done.error()};
    fail(closing, done.error());
    return true;
  }
  if (closing.tries == 0) {
    log::warning("not recorded yet", {{"batch_id", closing.batch->info().id},
                                      {"error", done.error().message},
                                      {"next", "tried again"}});
  }
  closing.next_try = now + backoff(kPause, closing.tries++);
  return false;
}

/// What was delivered, or all else, which needs no control file. In groups, so that a very large
/// batch needs no copy of itself.
Result<void> BatchClosing::record(Closing& closing, bool deliveries) {
  Batch& batch = *closing.batch;
  if (auto written = batch.write_notes(); !written) return written;
  if (!deliveries && batch.journal().are_failures_recorded()) return {};
  const Batch::Counts counts = batch.counts();
  const bool has_some = deliveries ? counts.delivered > 0 : counts.failed + counts.skipped > 0;
  if (!has_some) return deliveries ? Result<void>() : note_failures(batch);
  std::vector<TransferRecord> group;
  std::vector<Ended> untold;
  const auto append = [&]() -> Result<void> {
    if (group.empty()) return {};
    const auto appended = metastore_.append_unless_held(group);
    if (!appended) return appended.error();
    if (closing.origin == Origin::kOurs && *appended < group.size()) {
      log::warning("not recorded: other agents have taken over the files",
                   {{"batch_id", batch.info().id}, {"files", group.size() - *appended}});
    }
    closing.recorded += group.size();
    group.clear();
    return tell_of(untold);
  };
  std::uint64_t seen = 0;
  auto visited =
      batch.journal().visit_ended([&](const BatchFile& file, const BatchEnd& end) -> Result<void> {
        if (end.is_delivery() != deliveries) return {};
        if (seen++ < closing.recorded) return {};
        group.push_back(record_of(batch.info(), file, end));
        if (is_untold(closing, end)) untold.push_back({file, end});
        if (deliveries && file.size > kMinChunkBytes) closing.large.push_back(file.id);
        return group.size() < kGroupSize ? Result<void>() : append();
      });
  if (visited) visited = append();
  if (!visited || deliveries) return visited;
  return note_failures(batch);
}

Result<void> BatchClosing::note_failures(Batch& batch) {
  if (auto noted = batch.journal().note_failures_recorded(); !noted) return noted;
  if (!context_.options.on_abnormal) return {};
  for (const auto& source : batch.take_abnormal()) {
    context_.options.on_abnormal(
        {.id = source.id, .identity = source.identity, .reason = source.reason});
  }
  return {};
}

/// What could still have been undone when it happened, and what an agent did that has died.
bool BatchClosing::is_untold(const Closing& closing, const BatchEnd& end) {
  const bool is_ours = closing.origin == Origin::kOurs;
  if (end.failure) return is_ours && is_rolled_back(*end.failure);
  return !is_ours || closing.batch->info().all_or_nothing;
}

Result<void> BatchClosing::tell_of(std::vector<Ended>& files) {
  std::vector<std::string> ids;
  for (const Ended& ended : files) ids.push_back(ended.file.id);
  const auto records = metastore_.find(ids);
  if (!records) return records.error();
  for (std::size_t i = 0; i < files.size(); ++i) {
    const auto& [file, end] = files[i];
    const auto& record = (*records)[i];
    const FileOutcome outcome{.id = file.id,
                              .path = record ? record->path : file.remote_path,
                              .remote_path = file.remote_path,
                              .bytes = file.size,
                              .duration = end.duration,
                              .is_skipped = end.is_skipped};
    if (end.failure) {
      observer_.on_failed(outcome, Error{ErrorKind::kFailed, end.failure->message, 0});
    } else {
      observer_.on_delivered(outcome);
    }
  }
  files.clear();
  return {};
}

Result<void> BatchClosing::write_control_file(Closing& closing) {
  if (closing.batch->journal().is_pushed()) return {};
  const Batch::Counts counts = closing.batch->counts();
  auto kept =
      keep_control_file(context_.options.control_files, closing.batch->journal(), counts.delivered,
                        counts.bytes, context_.destination.control_sign, context_.stop);
  if (!kept) return kept.error().with_context("control file");
  closing.kept = std::move(*kept);
  return {};
}

/// What is left to do at the destination.
bool BatchClosing::push(Closing& closing) {
  Batch& batch = *closing.batch;
  if (batch.journal().is_pushed()) {
    closing.step = Step::kSuccesses;
    return true;
  }
  if (!closing.kept && !batch.has_abandoned_parts()) {
    closing.step = Step::kTidying;
    return true;
  }
  start(closing, Step::kPushing, [this, &closing, &batch](Session& session) {
    return finish_at_destination(session, batch, closing.kept ? &*closing.kept : nullptr, context_);
  });
  return false;
}

/// Not before all is recorded: until then the journals spare the next run whole files.
Result<void> BatchClosing::complete(Closing& closing) {
  Batch& batch = *closing.batch;
  for (const std::string& id : closing.large) {
    Journal::remove(context_.options.journals, id, context_.destination.name);
  }
  batch.journal().remove();
  const Batch::Counts counts = batch.counts();
  // What had failed in a dead agent's hands is tried again by ours.
  std::uint64_t failed = closing.origin == Origin::kOurs ? counts.failed : 0;
  if (const auto left = left_.extract(batch.info().id)) failed += left.mapped().failed;
  if (counts.delivered + failed + counts.skipped == 0) return {};
  completed_.push_back(
      {.id = batch.info().id,
       .control_file = counts.delivered > 0 && batch.info().control != ControlFormat::kNone
                           ? batch.info().control_path
                           : std::string(),
       .selected = counts.delivered + failed + counts.skipped,
       .successful = counts.delivered,
       .failed = failed,
       .skipped = counts.skipped,
       .bytes = counts.bytes,
       .duration =
           std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - batch.opened())});
  return {};
}

void BatchClosing::fail(Closing& closing, const Error& error) {
  Batch& batch = *closing.batch;
  const std::uint64_t delivered = batch.counts().delivered;
  log::error("batch not completed",
             {{"batch_id", batch.info().id},
              {"destination", batch.info().destination},
              {"files", delivered},
              {"error", error.message},
              {"next", "the next run completes it, and sends nothing again that is there"}});
  ++failures_;
  Left& left = left_[batch.info().id];
  left.unlisted = delivered;
  if (closing.origin == Origin::kOurs && batch.journal().are_failures_recorded()) {
    left.failed = batch.counts().failed;
  }
  const bool is_of_connection = sftp::ends_connection(error.kind) ||
                                error.kind == ErrorKind::kUnreachable ||
                                error.kind == ErrorKind::kRefused;
  if (is_of_connection && !lost_) lost_ = error;
  closing.step = Step::kDone;
}

BatchClosing::Left BatchClosing::left() const {
  Left all;
  for (const auto& [batch, left] : left_) {
    all.unlisted += left.unlisted;
    all.failed += left.failed;
  }
  return all;
}

void BatchClosing::give_up(const Error& reason) {
  for (Closing& closing : closing_) {
    if (closing.step != Step::kDone) fail(closing, reason);
  }
  closing_.clear();
}

}  // namespace ferry::transfer
