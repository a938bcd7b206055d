// What has to be so before a file gets its final name, and that.
#include <algorithm>

#include "transfer/batch/batch.h"
#include "transfer/deliver/worker.h"
#include "transfer/naming/remote_path.h"
#include "transfer/run/tenure.h"

namespace ferry::transfer {

using sftp::Task;

/// What cannot be read is sent again if it may be replaced: an earlier version may have that size.
/// If it may not, nobody but us can have given the name.
Task<Result<RenameFate>> Worker::look_after_rename(Job& job) {
  auto fate = co_await fate_of_rename(*session_.client, target_of(job));
  if (fate && *fate == RenameFate::kUnreadable) {
    fate = job.if_exists == IfExists::kReplace ? RenameFate::kVoid : RenameFate::kDone;
  }
  if (fate && *fate == RenameFate::kVoid) job.part = {};
  co_return fate;
}

Task<Result<Worker::Finished>> Worker::finish(Job& job) {
  if (job.part.rename_asked) {
    const auto fate = co_await look_after_rename(job);
    if (!fate) co_return fate.error();
    if (*fate == RenameFate::kDone) co_return Finished::kYes;
    if (*fate == RenameFate::kVoid) co_return Finished::kStartOver;
  }
  const Target target = target_of(job);
  // Whoever wrote to it since it was resumed, or since a connection was lost, has looked before.
  if ((job.parts_begun == 0 || job.losses > 0) && queue_.has_acknowledged(job)) {
    const auto part = co_await session_.client->stat(target.part_path);
    if (session_.client->error()) co_return *session_.client->error();
    if (part) {
      const auto checked = queue_.check_part(job, *part, context_.destination.name);
      if (!checked) co_return checked.error();
    }
  }
  const auto verified = co_await verify_part(session_, target, depth_for(job));
  if (!verified) {
    // A rename that a lost connection had asked for is done whenever the server comes to it.
    if (job.part.rename_asked && verified.error().kind == ErrorKind::kNotFound) {
      const auto fate = co_await look_after_rename(job);
      if (!fate) co_return fate.error();
      co_return *fate == RenameFate::kDone ? Finished::kYes : Finished::kStartOver;
    }
    // What an earlier run, or connection, had left there need not be what B has now.
    const bool is_inherited = job.parts_begun == 0 || job.part.is_doubtful;
    const ErrorKind kind = verified.error().kind;
    const bool is_unreadable = job.part.is_doubtful && kind == ErrorKind::kDenied;
    const bool is_void =
        kind == ErrorKind::kFailed || kind == ErrorKind::kNotFound || is_unreadable;
    if (is_inherited && is_void) co_return Finished::kStartOver;
    co_return verified.error();
  }
  const auto unchanged = co_await check_source_again(job);
  if (!unchanged) co_return unchanged.error();
  const auto preserved = co_await preserve_attributes(job);
  if (!preserved) co_return preserved.error();
  if (job.is_named_later) co_return Finished::kYes;
  const auto renamed = co_await rename(job);
  if (!renamed) co_return renamed.error();
  co_return *renamed == RenameFate::kDone ? Finished::kYes : Finished::kStartOver;
}

/// The last look before the name is given. What was read in one go has been proven by then. Of what
/// was read in pieces the identity proves it, if the kernel says that nobody could write without
/// changing that; else it is read once more.
Task<Result<void>> Worker::check_source_again(Job& job) {
  if (!job.transformed && !job.spread) co_return Result<void>();
  const FileIdentity identity =
      job.transformed ? job.transformed->source.identity : job.source.identity;
  auto source = co_await session_.sources->open(job.landing, job.path, identity,
                                                {identity.size, identity.size});
  Result<void> outcome;
  if (!source) {
    outcome = source.error();
  } else if (job.transformed || !is_source_at_hand(job) || (*source)->is_vouched_for()) {
    outcome = co_await (*source)->verify_unchanged();
  } else {
    outcome = co_await read_again(job, std::move(*source));
  }
  job.has_source_changed = !outcome && outcome.error().kind == ErrorKind::kAbnormal;
  co_return outcome;
}

Task<Result<void>> Worker::read_again(const Job& job, std::unique_ptr<Source> source) {
  constexpr std::uint64_t kBlockBytes = 1 << 20;  // between two looks at the network
  SourceStream stream(std::move(source), job.path, job.source.sha256);
  std::vector<std::byte> block(kBlockBytes);
  const std::uint64_t size = job.source.identity.size;
  for (std::uint64_t offset = 0; offset < size;) {
    if (context_.stop.stop_requested()) co_return make_error(ErrorKind::kCancelled, "stopped");
    const auto bytes = std::span(block).first(
        static_cast<std::size_t>(std::min<std::uint64_t>(block.size(), size - offset)));
    if (auto filled = stream.read(offset, bytes); !filled) co_return filled;
    offset += bytes.size();
    co_await session_.loop->next_turn();
  }
  co_return co_await stream.verify();
}

/// Size and time, which is all that a server tells, do not prove that pieces are of one version:
/// what B has of them does. Nor is it proven that B kept what it was not asked to sync.
Verify Worker::depth_for(const Job& job) const {
  const Verify depth = context_.options.verify;
  if (depth == Verify::kReadback || depth == Verify::kRemoteCommand) return depth;
  if (job.part.is_doubtful) return Verify::kReadback;
  const bool is_proven = job.part.is_proven || is_proven_by_identity(job);
  return depth == Verify::kSize && !is_proven ? Verify::kReadback : depth;
}

/// What the batch's journal says of JOB's part, before B hears of that. Others of this connection's
/// files share a sync; none keeps the connection from being served.
Task<Result<void>> Worker::make_durable(const Job& job) {
  for (;;) {
    const auto noted = context_.events.noted(job);
    BatchJournal& journal = *noted.journal;
    if (journal.is_synced(noted.end)) co_return Result<void>();
    if (const auto running = syncing_) {
      sftp::SharedResult<bool>& synced = *running;
      co_await synced;
      continue;
    }
    const auto ours = std::make_shared<sftp::SharedResult<bool>>();
    syncing_ = ours;
    auto syncing = session_.loop->in_thread([&journal] { return journal.sync(); });
    const auto synced = co_await syncing;
    syncing_.reset();
    ours->set(true);
    if (!synced) co_return synced.error().with_context("batch journal");
  }
}

/// Gives the name, or another one if that is taken and the route wants it so; or skips the file.
/// kVoid: what a lost connection had been asked to rename is gone.
Task<Result<RenameFate>> Worker::rename(Job& job) {
  for (;;) {
    const auto durable = co_await make_durable(job);
    if (!durable) co_return durable.error();
    const auto confirmed = co_await confirm_tenure(context_.presence, *session_.loop);
    if (!confirmed) co_return confirmed.error();
    const bool was_asked = job.part.rename_asked;
    const auto noted = queue_.note_rename_asked(job);
    if (!noted) co_return noted.error();
    const auto published = co_await publish(job);
    if (published && *published == Publication::kDone) co_return RenameFate::kDone;
    if (session_.client->error()) co_return *session_.client->error();
    if (!published && was_asked && published.error().kind == ErrorKind::kNotFound) {
      const auto fate = co_await look_after_rename(job);
      if (!fate || *fate != RenameFate::kPending) co_return fate;
    }
    // The server said no: nothing was renamed.
    job.part.rename_asked = false;
    if (!published) co_return published.error();
    const auto course = co_await give_way(job);
    if (!course) co_return course.error();
    if (*course == Course::kEnd) co_return RenameFate::kDone;
  }
}

}  // namespace ferry::transfer
