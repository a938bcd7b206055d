#include "transfer/batch/batch.h"

#include <utility>

namespace ferry::transfer {
namespace {

std::uint64_t& counter_of(Batch::Counts& counts, bool has_failed, bool is_skipped) {
  if (has_failed) return counts.failed;
  return is_skipped ? counts.skipped : counts.delivered;
}

}  // namespace

Result<std::unique_ptr<Batch>> Batch::open(const fs::path& directory, BatchInfo info) {
  auto journal = BatchJournal::begin(directory, info);
  if (!journal) return journal.error();
  return std::make_unique<Batch>(std::move(*journal));
}

Batch::Counts Batch::counts() const {
  const std::scoped_lock lock(mutex_);
  return counts_;
}

void Batch::add(std::uint64_t size) {
  const std::scoped_lock lock(mutex_);
  ++counts_.selected;
  counts_.claimed_bytes += size;
}

bool Batch::take_name(const std::string& remote_path) {
  const std::scoped_lock lock(mutex_);
  return names_.insert(std::hash<std::string>{}(remote_path)).second;
}

Result<void> Batch::note_part(Job& job) {
  if (job.place) {
    if (auto noted = journal_->note_part(*job.place, job.part.path); !noted) return noted;
  } else {
    const auto place = journal_->note_begun(file_of(job));
    if (!place) return place.error().with_context("batch journal");
    job.place = *place;
  }
  job.noted = journal_->end();
  return {};
}

Result<void> Batch::note_name(Job& job, std::string remote_path) {
  const std::string before = std::exchange(job.remote_path, std::move(remote_path));
  if (!job.place) return {};
  const auto place = journal_->note_begun(file_of(job));
  if (place) {
    if (auto noted = journal_->note_moved(*job.place); !noted) return noted;
    job.place = *place;
    job.noted = journal_->end();
    return {};
  }
  job.remote_path = before;
  return place.error().with_context("batch journal");
}

void Batch::note_later(std::function<Result<void>()> note) {
  {
    const std::scoped_lock lock(mutex_);
    unwritten_.push_back(std::move(note));
  }
  [[maybe_unused]] const auto written = write_notes();
}

/// In their order.
Result<void> Batch::write_notes() {
  const std::scoped_lock lock(mutex_);
  while (!unwritten_.empty()) {
    if (auto written = unwritten_.front()(); !written) return written;
    unwritten_.pop_front();
  }
  return {};
}

void Batch::note_end(Job& job) {
  {
    const std::scoped_lock lock(mutex_);
    ++counter_of(counts_, job.error != nullptr, job.is_skipped);
    if (!job.error && !job.is_skipped) counts_.bytes += job.source.identity.size;
    // A whole file's part was abandoned with its connection.
    const bool leaves_part = job.error && job.spread && !is_resumable(job);
    if (leaves_part && !job.part.path.empty()) abandoned_.insert(job.part.path);
    const bool is_abnormal = job.error && job.error->kind == ErrorKind::kAbnormal;
    if (is_abnormal && !job.refused_here) {
      const auto& identity = (job.transformed ? job.transformed->source : job.source).identity;
      const bool is_known = identity != FileIdentity{};
      abnormal_.push_back(
          {job.id, job.error->message, is_known ? std::optional(identity) : std::nullopt});
    }
  }
  const BatchEnd end = end_of(job);
  if (job.place) {
    note_later([this, place = *job.place, end] { return journal_->note_end(place, end); });
  } else {
    note_later([this, file = file_of(job), end] { return journal_->note_end(file, end); });
  }
}

void Batch::note_uploaded(Job& job) {
  {
    const std::scoped_lock lock(mutex_);
    ++counts_.uploaded;
  }
  note_later([this, place = *job.place] { return journal_->note_uploaded(place); });
}

void Batch::drop(const Job& job) {
  const std::scoped_lock lock(mutex_);
  --counts_.selected;
  if (!is_resumable(job) && !job.part.path.empty()) abandoned_.insert(job.part.path);
}

Result<void> Batch::hand_over(Job& job, Batch& next) {
  const std::uint64_t size = job.source.identity.size;
  if (job.place) {
    const auto place = next.journal_->note_begun(file_of(job));
    if (!place) return place.error();
    // It may be about to get its name, by what this journal says of it.
    if (auto synced = next.journal_->sync(); !synced) return synced;
    if (auto noted = journal_->note_moved(*job.place); !noted) return noted;
    job.place = *place;
    job.noted = next.journal_->end();
  }
  next.add(size);
  const std::scoped_lock lock(mutex_);
  --counts_.selected;
  counts_.claimed_bytes -= std::min(counts_.claimed_bytes, size);
  return {};
}

Result<void> Batch::recount() {
  const auto marks = journal_->marks();
  if (!marks) return marks.error();
  Counts counts;
  auto visited = journal_->visit_ended([&](const BatchFile& file, const BatchEnd& end) {
    ++counter_of(counts, end.failure.has_value(), end.is_skipped);
    if (end.is_delivery()) counts.bytes += file.size;
    return Result<void>();
  });
  if (!visited) return visited;
  for (const auto place : marks->uploaded) counts.uploaded += marks->is_open(place) ? 1 : 0;
  counts.selected = counts.ended() + counts.uploaded;
  const std::scoped_lock lock(mutex_);
  counts.claimed_bytes = counts_.claimed_bytes;
  counts_ = counts;
  return {};
}

void Batch::close() {
  const std::scoped_lock lock(mutex_);
  is_closed_ = true;
}

bool Batch::is_closed() const {
  const std::scoped_lock lock(mutex_);
  return is_closed_;
}

void Batch::abandon_part(const std::string& path) {
  const std::scoped_lock lock(mutex_);
  if (!path.empty()) abandoned_.insert(path);
}

std::set<std::string> Batch::take_abandoned_parts() {
  const std::scoped_lock lock(mutex_);
  return std::exchange(abandoned_, {});
}

bool Batch::has_abandoned_parts() const {
  const std::scoped_lock lock(mutex_);
  return !abandoned_.empty();
}

std::vector<Batch::Abnormal> Batch::take_abnormal() {
  const std::scoped_lock lock(mutex_);
  return std::exchange(abnormal_, {});
}

BatchFile file_of(const Job& job) {
  BatchFile file{.id = job.id,
                 .attempt = job.attempt,
                 .remote_path = job.remote_path,
                 .size = job.source.identity.size,
                 .sha256 = job.source.sha256,
                 .source_sha256 = {},
                 .part_path = job.part.path,
                 .if_exists = job.if_exists};
  if (job.transformed && job.transformed->source.sha256 != job.source.sha256) {
    file.source_sha256 = job.transformed->source.sha256;
  }
  return file;
}

BatchEnd end_of(const Job& job) {
  BatchEnd end{.date = job.finished,
               .duration = job.duration,
               .failure = {},
               .is_skipped = job.is_skipped && !job.error};
  if (job.error) {
    end.failure = BatchFailure{.kind = std::string(to_string(job.error->kind)),
                               .message = job.error->message,
                               .retryable = is_retryable(job.error->kind),
                               .refused_here = job.refused_here};
  }
  return end;
}

FileOutcome outcome_of(const Job& job) {
  return FileOutcome{.id = job.id,
                     .path = job.path,
                     .remote_path = job.remote_path,
                     .bytes = job.source.identity.size,
                     .duration = job.duration,
                     .is_skipped = job.is_skipped};
}

Target target_of(const Job& job) {
  return Target{.part_path = job.part.path,
                .final_path = job.remote_path,
                .size = job.source.identity.size,
                .sha256 = job.source.sha256};
}

JournalKey journal_key_of(const Job& job, const std::string& destination) {
  return JournalKey{.id = job.id,
                    .destination = destination,
                    .final_path = job.remote_path,
                    .source = job.source.identity,
                    .checksum = job.source.sha256};
}

}  // namespace ferry::transfer
