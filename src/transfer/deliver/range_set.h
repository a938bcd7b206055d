// Byte ranges of a file: which of them B has. Pure.
#pragma once

#include <cstdint>
#include <vector>

namespace ferry::transfer {

/// Half open: [begin, end).
struct Range {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;

  std::uint64_t size() const { return end - begin; }
  bool operator==(const Range&) const = default;
};

class RangeSet {
 public:
  void add(Range range);
  const std::vector<Range>& ranges() const { return ranges_; }

  /// Bytes in the set.
  std::uint64_t size() const;
  /// Where the last range ends; 0 for an empty set.
  std::uint64_t end() const { return ranges_.empty() ? 0 : ranges_.back().end; }
  /// What of WHOLE is not in the set, in order.
  std::vector<Range> missing(Range whole) const;
  bool covers(Range whole) const { return missing(whole).empty(); }

 private:
  std::vector<Range> ranges_;  // in order, none touches the next
};

/// Cuts RANGES into chunks of at most CHUNK_BYTES, on a grid of that size.
std::vector<Range> cut_into_chunks(const std::vector<Range>& ranges, std::uint64_t chunk_bytes);

/// A file of this size or less is one chunk.
constexpr std::uint64_t kMinChunkBytes = 2 << 20;

/// The size of a file's chunks: small enough that a crash costs little, and grown with the file so
/// that there are never more than a few thousand to keep account of.
std::uint64_t chunk_bytes_for(std::uint64_t file_bytes);

}  // namespace ferry::transfer
