// Bytes on their way through: appended at one end, taken from the other, contiguous in between.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <span>

namespace ferry::sftp {

class ByteQueue {
 public:
  std::span<const std::byte> data() const { return {bytes_.get() + begin_, end_ - begin_}; }
  std::size_t size() const { return end_ - begin_; }
  bool empty() const { return begin_ == end_; }

  /// Room for at least SIZE bytes behind the last; uninitialised, valid until the next call.
  std::span<std::byte> prepare(std::size_t size) {
    if (capacity_ - end_ < size) make_room(size);
    return {bytes_.get() + end_, capacity_ - end_};
  }

  /// Makes the first SIZE bytes of what prepare gave part of the queue.
  void commit(std::size_t size) { end_ += size; }

  void consume(std::size_t size) {
    begin_ += size;
    if (begin_ == end_) begin_ = end_ = 0;
  }

 private:
  void make_room(std::size_t size) {
    const std::size_t used = end_ - begin_;
    if (used + size > capacity_) {
      const std::size_t capacity = std::max(capacity_ * 2, used + size);
      auto bytes = std::make_unique_for_overwrite<std::byte[]>(capacity);
      if (used > 0) std::memcpy(bytes.get(), bytes_.get() + begin_, used);
      bytes_ = std::move(bytes);
      capacity_ = capacity;
    } else if (used > 0) {
      std::memmove(bytes_.get(), bytes_.get() + begin_, used);
    }
    begin_ = 0;
    end_ = used;
  }

  std::unique_ptr<std::byte[]> bytes_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace ferry::sftp
