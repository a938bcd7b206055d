// What the inspecting threads have to do: first looks in their order, then pieces of large files.
//
// A large file is hashed a piece at a time, and the one with the least left to do comes next: no
// file, whatever its size, keeps the threads from the others.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "landing/register/inspect.h"

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
  /// THREADS: how many take from it.
  explicit InspectionQueue(std::size_t threads) : threads_(std::max<std::size_t>(threads, 1)) {}

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

  /// Waits for tasks: a thread's share of the first looks, all beneath one root, or a piece of a
  /// large file. Nothing once the queue is closed.
  std::vector<InspectionTask> pop() {
    std::unique_lock lock(mutex_);
    ready_.wait(lock, [&] { return closed_ || !first_looks_.empty() || !large_.empty(); });
    std::vector<InspectionTask> taken;
    if (closed_) return taken;
    if (first_looks_.empty()) {
      taken.push_back(std::move(large_.extract(large_.begin()).mapped()));
      return taken;
    }
    const std::size_t share = std::clamp<std::size_t>(first_looks_.size() / threads_, 1, kGroup);
    const auto root = first_looks_.front().root;
    while (taken.size() < share && !first_looks_.empty() && first_looks_.front().root == root) {
      taken.push_back(std::move(first_looks_.front()));
      first_looks_.pop_front();
    }
    return taken;
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
  static constexpr std::size_t kGroup = 32;

  const std::size_t threads_;
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<InspectionTask> first_looks_;
  std::multimap<std::uint64_t, InspectionTask> large_;  // by the bytes that are left
  bool closed_ = false;
};

}  // namespace ferry::landing
