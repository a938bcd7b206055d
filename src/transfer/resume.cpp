#include "transfer/resume.h"

#include "transfer/batch.h"

namespace ferry::transfer {
namespace {

/// A journal speaks of a part file: where that is shorter than what was acknowledged, or gone, the
/// journal is void.
sftp::Task<void> check_part(Session& session, const Target& target, Journal::Past& past) {
  const auto part = co_await session.client->stat(target.part_path);
  const bool is_there = part && part->size.value_or(0) >= past.acknowledged.end();
  if (!is_there && !past.publishing) past = {};
}

struct Candidate {
  Job* job;
  Journal::Past past;
};

std::vector<Candidate> find_candidates(std::span<Job> jobs, const RunContext& context) {
  std::vector<Candidate> candidates;
  for (Job& job : jobs) {
    if (!is_open(job) || !is_content_known(job) || !goes_out_in_chunks(job)) continue;
    candidates.push_back({&job, Journal::load(context.options.journals,
                                              journal_key_of(job, context.destination.name))});
  }
  return candidates;
}

void plan(Job& job, const Journal::Past& past) {
  const std::uint64_t size = job.source.identity.size;
  job.publishing = past.publishing;
  job.spread = std::make_unique<Spread>();
  const auto chunks = cut_into_chunks(past.acknowledged.missing(size), chunk_bytes_for(size));
  job.spread->waiting.assign(chunks.begin(), chunks.end());
}

sftp::Task<void> remove_part(Session& session, std::string path) {
  [[maybe_unused]] const auto removed = co_await session.client->remove(std::move(path));
}

}  // namespace

void plan_afresh(Job& job) {
  if (goes_out_in_chunks(job)) plan(job, {});
}

void remove_outdated_parts(std::span<Job> jobs, const RunContext& context, Session& session) {
  const fs::path& journals = context.options.journals;
  for (const Job& job : jobs) {
    if (!is_open(job) || is_content_known(job)) continue;
    if (!Journal::exists(journals, job.id, context.destination.name)) continue;
    session.client->spawn(remove_part(session, target_of(job).part_path));
    Journal::remove(journals, job.id, context.destination.name);
  }
  [[maybe_unused]] const auto ran = session.client->run();
}

void plan_spreads(std::span<Job> jobs, const RunContext& context, Session& session) {
  auto candidates = find_candidates(jobs, context);
  for (Candidate& candidate : candidates) {
    if (candidate.past.acknowledged.end() == 0) continue;
    session.client->spawn(check_part(session, target_of(*candidate.job), candidate.past));
  }
  // Where the connection ends meanwhile, what could not be checked counts as gone.
  [[maybe_unused]] const auto ran = session.client->run();
  for (const Candidate& candidate : candidates) {
    if (candidate.past.acknowledged.end() == 0) {
      Journal::remove(context.options.journals, candidate.job->id, context.destination.name);
    }
    plan(*candidate.job, candidate.past);
  }
}

}  // namespace ferry::transfer
