#include "transfer/all_or_nothing.h"

#include <algorithm>

#include "transfer/batch.h"

namespace ferry::transfer {
namespace {

sftp::Task<void> look_at_target(Session& session, Job& job) {
  const auto target = co_await session.client->stat(job.remote_path);
  // When in doubt it is not ours.
  job.target_existed = target || target.error().kind != ErrorKind::kNotFound;
}

sftp::Task<void> remove_if_there(Session& session, std::string path) {
  [[maybe_unused]] const auto removed = co_await session.client->remove(std::move(path));
}

void end_rolled_back(Job& job, const RunContext& context) {
  const Error error =
      make_error(ErrorKind::kFailed,
                 "rolled back: the batch is all-or-nothing, and another file of it failed");
  end_job(job, std::make_unique<Error>(error));
  context.observer.on_failed(outcome_of(job), error);
}

}  // namespace

bool is_all_uploaded(std::span<const Job> jobs) {
  return std::ranges::all_of(jobs, [](const Job& job) { return job.uploaded && is_open(job); });
}

void note_existing_targets(std::span<Job> jobs, Session& session) {
  for (Job& job : jobs) {
    job.target_existed = true;
    session.client->spawn(look_at_target(session, job));
  }
  [[maybe_unused]] const auto ran = session.client->run();
}

void roll_back(std::span<Job> jobs, const RunContext& context, Session& session) {
  for (Job& job : jobs) {
    if (is_delivered(job) && !job.target_existed) {
      session.client->spawn(remove_if_there(session, job.remote_path));
    } else if (job.uploaded && !is_delivered(job)) {
      session.client->spawn(remove_if_there(session, target_of(job).part_path));
    }
    Journal::remove(context.options.journals, job.id, context.destination.name);
    if (is_open(job) || is_delivered(job)) end_rolled_back(job, context);
  }
  [[maybe_unused]] const auto ran = session.client->run();
}

}  // namespace ferry::transfer
