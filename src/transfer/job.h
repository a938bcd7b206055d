// What a run has to do, file by file, and how it went.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>

#include "ferry/base/result.h"
#include "ferry/base/time.h"
#include "ferry/metastore/metastore.h"
#include "transfer/source.h"

namespace ferry::transfer {

struct Job {
  metastore::Claim claim;
  CheckedSource source;     // valid once the source was checked
  std::string remote_path;  // absolute
  std::chrono::milliseconds duration{};
  Timestamp finished;
  std::optional<Result<void>> outcome;  // absent until it ended, one way or the other
};

/// Gives each job to one taker. Thread-safe.
class JobQueue {
 public:
  explicit JobQueue(std::span<Job> jobs) : jobs_(jobs) {}

  /// The next job that has no outcome yet; null where there is none left.
  Job* take() {
    for (;;) {
      const std::size_t index = next_.fetch_add(1, std::memory_order_relaxed);
      if (index >= jobs_.size()) return nullptr;
      if (!jobs_[index].outcome) return &jobs_[index];
    }
  }

  std::size_t size() const { return jobs_.size(); }

 private:
  std::span<Job> jobs_;
  std::atomic<std::size_t> next_{0};
};

}  // namespace ferry::transfer
