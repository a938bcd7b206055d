// The bytes on their way in one direction of a line, each held for the line's delay.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>

namespace ferry::bench {

using Clock = std::chrono::steady_clock;

/// A ring: bytes are committed with the time at which they are due, and leave in order.
class LineBuffer {
 public:
  explicit LineBuffer(std::size_t capacity)
      : capacity_(capacity), memory_(std::make_unique_for_overwrite<std::byte[]>(capacity)) {}

  bool empty() const { return head_ == tail_; }
  bool full() const { return head_ - tail_ == capacity_; }

  /// A contiguous part of what is free.
  std::span<std::byte> room() {
    if (empty()) head_ = tail_ = released_ = 0;  // stay where the cache is warm
    const std::size_t at = head_ % capacity_;
    return {memory_.get() + at, std::min<std::size_t>(capacity_ - (head_ - tail_), capacity_ - at)};
  }

  void commit(std::size_t size, Clock::time_point due) {
    head_ += size;
    if (!marks_.empty() && due - marks_.back().due < kGrain) {
      marks_.back().end = head_;
    } else {
      marks_.push_back({head_, due});
    }
  }

  /// A contiguous part of what is due.
  std::span<const std::byte> due(Clock::time_point now) {
    while (!marks_.empty() && marks_.front().due <= now) {
      released_ = marks_.front().end;
      marks_.pop_front();
    }
    const std::size_t at = tail_ % capacity_;
    return {memory_.get() + at, std::min<std::size_t>(released_ - tail_, capacity_ - at)};
  }

  void consume(std::size_t size) { tail_ += size; }

  /// When more will be due.
  std::optional<Clock::time_point> next_due() const {
    return marks_.empty() ? std::nullopt : std::optional(marks_.front().due);
  }

 private:
  struct Mark {
    std::uint64_t end;
    Clock::time_point due;
  };
  /// Bytes that arrive closer together than this share a mark: it bounds their number.
  static constexpr auto kGrain = std::chrono::microseconds(100);

  std::size_t capacity_;
  std::unique_ptr<std::byte[]> memory_;
  std::uint64_t tail_ = 0;      // forwarded
  std::uint64_t released_ = 0;  // due
  std::uint64_t head_ = 0;      // received
  std::deque<Mark> marks_;
};

}  // namespace ferry::bench
