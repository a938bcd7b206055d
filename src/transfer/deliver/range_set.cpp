#include "transfer/deliver/range_set.h"

#include <algorithm>

namespace ferry::transfer {

void RangeSet::add(Range range) {
  if (range.begin >= range.end) return;
  // The first that ends at or behind our begin, and the first that begins behind our end.
  const auto first = std::ranges::lower_bound(ranges_, range.begin, {}, &Range::end);
  const auto last = std::ranges::upper_bound(ranges_, range.end, {}, &Range::begin);
  if (first < last) {
    range.begin = std::min(range.begin, first->begin);
    range.end = std::max(range.end, std::prev(last)->end);
  }
  ranges_.insert(ranges_.erase(first, last), range);
}

std::uint64_t RangeSet::size() const {
  std::uint64_t sum = 0;
  for (const Range& range : ranges_) sum += range.size();
  return sum;
}

std::vector<Range> RangeSet::missing(Range whole) const {
  std::vector<Range> gaps;
  std::uint64_t at = whole.begin;
  for (const Range& range : ranges_) {
    if (range.begin >= whole.end) break;
    if (at < range.begin) gaps.push_back({at, range.begin});
    at = std::max(at, range.end);
  }
  if (at < whole.end) gaps.push_back({at, whole.end});
  return gaps;
}

std::vector<Range> cut_into_chunks(const std::vector<Range>& ranges, std::uint64_t chunk_bytes) {
  std::vector<Range> chunks;
  for (const Range& range : ranges) {
    for (std::uint64_t begin = range.begin; begin < range.end;) {
      const std::uint64_t grid_end = (begin / chunk_bytes + 1) * chunk_bytes;
      const std::uint64_t end = std::min(grid_end, range.end);
      chunks.push_back({begin, end});
      begin = end;
    }
  }
  return chunks;
}

std::uint64_t chunk_bytes_for(std::uint64_t file_bytes) {
  constexpr std::uint64_t kMaxChunkBytes = 32 << 20;
  constexpr std::uint64_t kWantedChunks = 1024;
  constexpr std::uint64_t kMostChunks = 8192;  // from 256 GiB on they grow beyond kMaxChunkBytes
  std::uint64_t chunk = kMinChunkBytes;
  while (chunk < kMaxChunkBytes && file_bytes / chunk > kWantedChunks) chunk *= 2;
  while (file_bytes / chunk > kMostChunks) chunk *= 2;
  return chunk;
}

}  // namespace ferry::transfer
