#include "transfer/deliver/resume.h"

#include "ferry/base/log.h"
#include "transfer/batch/batch.h"
#include "transfer/deliver/removal.h"
#include "transfer/naming/remote_path.h"

namespace ferry::transfer {
namespace {

using sftp::Task;

/// Whether the part file can have all that the journal says. One that is gone may have its final
/// name.
Task<bool> is_part_there(sftp::Client& client, const Journal::Past& past) {
  const auto part = co_await client.stat(past.part_path);
  if (part) co_return part->size.value_or(0) >= past.acknowledged.end();
  // An error says nothing: finishing the file will show.
  co_return part.error().kind != ErrorKind::kNotFound || past.rename_asked;
}

/// What comes from a server goes in one piece, so that one checksum proves it: B would have to be
/// read otherwise, which takes longer than more connections save.
void plan_rest(Job& job) {
  const std::uint64_t size = job.source.identity.size;
  auto rest = job.spread->acknowledged.missing({0, size});
  if (is_proven_by_identity(job)) rest = cut_into_chunks(rest, chunk_bytes_for(size));
  job.spread->waiting.assign(rest.begin(), rest.end());
}

void go_on(Job& job, Journal::Past past) {
  job.part = {.path = std::move(past.part_path),
              .rename_asked = past.rename_asked,
              .is_doubtful = past.is_doubtful};
  job.spread = std::make_unique<Spread>();
  job.spread->acknowledged = std::move(past.acknowledged);
  job.spread->modified = past.modified;
  plan_rest(job);
}

}  // namespace

void begin_part(Job& job) {
  const std::string token = part_token(job.batch_id, job.id, job.parts_begun++);
  job.part = {.path = part_path(job.remote_path, token)};
}

void plan_all(Job& job) {
  job.spread = std::make_unique<Spread>();
  plan_rest(job);
}

Task<Result<void>> plan_delivery(Job& job, const RunContext& context, sftp::Client& client,
                                 Result<bool> takes_many_handles) {
  if (client.error()) co_return *client.error();
  auto past =
      Journal::load(context.options.journals, journal_key_of(job, context.destination.name));
  const bool is_to_wait =
      !takes_many_handles && (past || is_retryable(takes_many_handles.error().kind));
  if (is_to_wait) co_return takes_many_handles.error();
  if (!takes_many_handles) {
    log::debug("server not tried", {{"destination", context.destination.name},
                                    {"reason", takes_many_handles.error().message}});
  }
  const bool goes_in_chunks = takes_many_handles.value_or(false);
  if (past && goes_in_chunks) {
    const bool is_there = co_await is_part_there(client, *past);
    if (is_there) {
      go_on(job, std::move(*past));
      co_return context.events.on_part(job);
    }
  }
  // Void, but somebody may still write to that part: the next one gets another name.
  co_await remove_outdated_part(job, context, client);
  if (!goes_in_chunks) co_return Result<void>();
  begin_part(job);
  plan_all(job);
  co_return context.events.on_part(job);
}

Task<void> remove_outdated_part(const Job& job, const RunContext& context, sftp::Client& client) {
  const fs::path& journals = context.options.journals;
  const std::string part = Journal::part_path_in(journals, job.id, context.destination.name);
  if (part.empty()) co_return;
  [[maybe_unused]] const auto removed = co_await remove_leftover(client, part);
  if (!client.error()) Journal::remove(journals, job.id, context.destination.name);
}

}  // namespace ferry::transfer
