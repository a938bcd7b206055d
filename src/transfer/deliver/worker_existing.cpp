// Files whose route does not replace what has their name at the destination.
#include "transfer/batch/batch.h"
#include "transfer/batch/control_name.h"
#include "transfer/batch/sidecars.h"
#include "transfer/deliver/resume.h"
#include "transfer/deliver/worker.h"
#include "transfer/naming/free_name.h"
#include "transfer/naming/remote_path.h"

namespace ferry::transfer {

using sftp::Task;

namespace {

const std::string& plain_path_of(const Job& job) {
  return job.plain_path.empty() ? job.remote_path : job.plain_path;
}

Error refused_because_it_is_there(const Job& job) {
  return make_error(ErrorKind::kAbnormal,
                    "the destination has another file of the name {}, or of its sidecar's, which "
                    "the route does not replace: take that "
                    "away, or give this one another name, and run 'ferry retry'",
                    job.remote_path);
}

}  // namespace

Task<Result<Worker::Course>> Worker::heed_existing(Job& job) {
  if (job.if_exists == IfExists::kReplace) co_return Course::kSend;
  Target plain = target_of(job);
  plain.final_path = plain_path_of(job);
  Result<Occupant> occupant = Occupant::kOther;
  if (!job.shares_name) occupant = co_await occupant_of(*session_.client, plain);
  if (!occupant) co_return occupant.error();
  // What may not be read is not known to be this file.
  bool is_other = *occupant == Occupant::kOther || *occupant == Occupant::kUnreadable;
  if (*occupant == Occupant::kNobody) {
    const auto can =
        co_await can_have_sidecar(*session_.client, context_.destination.sidecar, plain.final_path);
    if (!can) co_return can.error();
    is_other = !*can;
  }
  if (is_other) co_return co_await give_way(job);
  const auto named = take_name(job, plain.final_path);
  if (!named) co_return named.error();
  if (*occupant == Occupant::kNobody) co_return Course::kSend;
  const auto there = co_await count_as_delivered(job);
  if (!there) co_return there.error();
  co_return Course::kEnd;
}

Task<Result<Worker::Course>> Worker::give_way(Job& job) {
  switch (job.if_exists) {
    case IfExists::kSkip:
      job.is_skipped = true;
      co_return Course::kEnd;
    case IfExists::kVersion:
      co_return co_await take_version(job);
    default:
      job.refused_here = true;
      co_return refused_because_it_is_there(job);
  }
}

Task<Result<Worker::Course>> Worker::take_version(Job& job) {
  const std::string plain_path = plain_path_of(job);
  const std::string suffix = job.transformed ? suffix_of(*job.transformed->route) : std::string();
  Target target = target_of(job);
  target.final_path = plain_path;
  const auto found = co_await find_free_version(*session_.client, target, suffix,
                                                suffix_of(context_.destination.sidecar));
  if (!found) co_return found.error();
  std::uint64_t number = found->number;
  bool is_there = found->is_there;
  std::string name = version_name(plain_path, number, suffix);
  // Another of the batch may be about to take it, or be what is there.
  while (name != job.remote_path && !context_.events.reserve_name(job, name)) {
    name = version_name(plain_path, ++number, suffix);
    is_there = false;
  }
  if (auto checked = check_remote_name(context_.destination, session_.directory,
                                       session_.control_directory, name);
      !checked) {
    job.refused_here = true;
    co_return checked.error();
  }
  const auto named = take_name(job, std::move(name));
  if (!named) co_return named.error();
  job.plain_path = plain_path;
  if (!is_there) co_return Course::kSend;
  const auto there = co_await count_as_delivered(job);
  if (!there) co_return there.error();
  co_return Course::kEnd;
}

Result<void> Worker::take_name(Job& job, std::string remote_path) {
  if (job.remote_path == remote_path) return {};
  return context_.events.on_name(job, std::move(remote_path));
}

/// The batch's journal tells of it as of all that is delivered.
Task<Result<void>> Worker::count_as_delivered(Job& job) {
  co_await discard_part(job);
  co_await remove_outdated_part(job, context_, *session_.client);
  if (job.place) co_return Result<void>();
  begin_part(job);
  co_return context_.events.on_part(job);
}

/// Gives the name that the job has now.
Task<Result<Publication>> Worker::publish(const Job& job) {
  const Target target = target_of(job);
  if (job.if_exists != IfExists::kReplace) {
    co_return co_await publish_if_free(*session_.client, target);
  }
  const auto renamed = co_await rename_part(*session_.client, target);
  if (!renamed) co_return renamed.error();
  co_return Publication::kDone;
}

}  // namespace ferry::transfer
