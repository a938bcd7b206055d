// What the inspecting threads have to do: first looks in their order, then pieces of large files.
//
// A large file is hashed a piece at a time, and the one with the least left to do comes next: no
// file, whatever its size, keeps the threads from the others.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "landing/inspect.h"

namespace ferry::landing {

struct InspectionTask {
  std::size_t area = 0;
  std::shared_ptr<const Root> root;
  DuePath candidate;
  std::unique_ptr<HashProgress> progress = nullptr;  // of a large file
};

/// Thread-safe.
class InspectionQueue {
 public:
  void push(InspectionTask task) {
    {
      const std::scoped_lock lock(mutex_);
      first_looks_.push_back(std::move(task));
    }
    ready_.notify_one();
  }

  /// TASK is of a large file, with so many bytes LEFT to hash.
  void push_large(std::uint64_t left, InspectionTask task) {
    {
      const std::scoped_lock lock(mutex_);
      large_.emplace(left, std::move(task));
    }
    ready_.notify_one();
  }

  /// Waits for a task; nothing once the queue is closed.
  std::optional<InspectionTask> pop() {
    std::unique_lock lock(mutex_);
    ready_.wait(lock, [&] { return closed_ || !first_looks_.empty() || !large_.empty(); });
    if (closed_) return std::nullopt;
    if (!first_looks_.empty()) {
      InspectionTask task = std::move(first_looks_.front());
      first_looks_.pop_front();
      return task;
    }
    return std::move(large_.extract(large_.begin()).mapped());
  }

  /// What is there is given up.
  void close() {
    {
      const std::scoped_lock lock(mutex_);
      closed_ = true;
    }
    ready_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<InspectionTask> first_looks_;
  std::multimap<std::uint64_t, InspectionTask> large_;  // by the bytes that are left
  bool closed_ = false;
};

}  // namespace ferry::landing
