// The claimed files of one run, and what the tables and the control file say of them. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ferry/base/time.h"
#include "ferry/metastore/metastore.h"
#include "ferry/transfer/agent.h"
#include "ferry/transfer/control_file.h"
#include "transfer/job.h"
#include "transfer/publish.h"

namespace ferry::transfer {

struct Batch {
  std::string id;
  std::string agent;
  std::string destination;
  std::string directory;  // at the destination, absolute
  Timestamp created;
  std::vector<Job> jobs;
};

/// What to do for CLAIM, whose landing area is LANDING.
Job make_job(const metastore::Claim& claim, const LandingRoot* landing, std::string remote_path);

inline bool is_open(const Job& job) {
  return !job.ended;
}
inline bool is_ready_to_send(const Job& job) {
  return is_open(job) && is_content_known(job);
}
inline bool is_delivered(const Job& job) {
  return job.ended && !job.error;
}

/// The job has ended: with ERROR, or delivered where there is none. Observers are the caller's.
void end_job(Job& job, std::unique_ptr<const Error> error);

/// The control file with those jobs for which IS_LISTED holds.
ControlFile make_control_file(const Batch& batch, bool (*is_listed)(const Job&));

/// What transfer_logs is to say of a job that has ended.
metastore::TransferRecord make_record(const Job& job, const Batch& batch);

FileOutcome outcome_of(const Job& job);

/// The part file and the final name of a job.
Target target_of(const Job& job);

/// Under what a job's journal is valid.
JournalKey journal_key_of(const Job& job, const std::string& destination);

/// Adds the jobs that have ended to SUMMARY's counts.
void count(const Batch& batch, TransferSummary& summary);

}  // namespace ferry::transfer
