#include "transfer/batch.h"

#include "transfer/remote_path.h"

namespace ferry::transfer {

using metastore::TransferRecord;
using metastore::TransferStatus;

Job make_job(const metastore::Claim& claim, const LandingRoot* landing, std::string remote_path) {
  Job job;
  job.remote_path = std::move(remote_path);
  job.id = claim.file.id;
  job.path = claim.file.path;
  job.landing = landing;
  job.attempt = claim.attempt;
  return job;
}

void end_job(Job& job, std::unique_ptr<const Error> error) {
  job.finished = now();
  job.error = std::move(error);
  job.ended = true;
}

ControlFile make_control_file(const Batch& batch, bool (*is_listed)(const Job&)) {
  ControlFile control{.batch_id = batch.id,
                      .created = batch.created,
                      .agent = batch.agent,
                      .destination = batch.destination,
                      .files = {}};
  for (const Job& job : batch.jobs) {
    if (!is_listed(job)) continue;
    control.files.push_back(
        {.id = job.id,
         .path = below(batch.directory, job.remote_path),
         .size = job.source.identity.size,
         .checksum = &job.source.sha256,
         .source_checksum = job.transformed && job.transformed->source.sha256 != job.source.sha256
                                ? &job.transformed->source.sha256
                                : nullptr});
  }
  return control;
}

TransferRecord make_record(const Job& job, const Batch& batch) {
  TransferRecord record;
  record.id = job.id;
  record.date = job.finished;
  record.destination = batch.destination;
  record.batch_id = batch.id;
  record.agent = batch.agent;
  record.attempt = job.attempt;
  record.duration_ms = job.duration.count();
  record.remote_path = job.remote_path;
  if (is_delivered(job)) {
    record.status = TransferStatus::kSuccessful;
    record.bytes = static_cast<std::int64_t>(job.source.identity.size);
    record.checksum = job.source.sha256;
  } else {
    const Error& error = *job.error;
    record.status = TransferStatus::kFailed;
    record.error = metastore::TransferError{.kind = std::string(to_string(error.kind)),
                                            .message = error.message,
                                            .retryable = is_retryable(error.kind)};
  }
  return record;
}

FileOutcome outcome_of(const Job& job) {
  return FileOutcome{.id = job.id,
                     .path = job.path,
                     .remote_path = job.remote_path,
                     .bytes = job.source.identity.size,
                     .duration = job.duration};
}

Target target_of(const Job& job) {
  return Target{.part_path = part_path(job.remote_path, job.id),
                .final_path = job.remote_path,
                .size = job.source.identity.size,
                .sha256 = job.source.sha256};
}

JournalKey journal_key_of(const Job& job, const std::string& destination) {
  return JournalKey{.id = job.id,
                    .destination = destination,
                    .part_path = part_path(job.remote_path, job.id),
                    .source = job.source.identity,
                    .checksum = job.source.sha256};
}

void count(const Batch& batch, TransferSummary& summary) {
  for (const Job& job : batch.jobs) {
    if (is_open(job)) continue;
    if (is_delivered(job)) {
      ++summary.successful;
      summary.bytes += job.source.identity.size;
    } else {
      ++summary.failed;
    }
  }
}

}  // namespace ferry::transfer
