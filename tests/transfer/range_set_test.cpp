#include "transfer/deliver/range_set.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

using namespace ferry::transfer;

namespace {

using Ranges = std::vector<Range>;

RangeSet set_of(const Ranges& ranges) {
  RangeSet set;
  for (const Range& range : ranges) set.add(range);
  return set;
}

}  // namespace

TEST_CASE("what is missing is what was not added") {
  CHECK(RangeSet().missing({0, 10}) == Ranges{{0, 10}});
  CHECK(RangeSet().missing({0, 0}).empty());
  CHECK(set_of({{0, 10}}).missing({0, 10}).empty());
  CHECK(set_of({{0, 3}, {5, 8}}).missing({0, 10}) == Ranges{{3, 5}, {8, 10}});
  CHECK(set_of({{5, 8}, {0, 3}}).missing({0, 10}) == Ranges{{3, 5}, {8, 10}});
  CHECK(set_of({{0, 20}}).missing({0, 10}).empty());
}

TEST_CASE("ranges that touch or overlap become one") {
  CHECK(set_of({{0, 3}, {3, 5}}).size() == 5);
  CHECK(set_of({{0, 4}, {2, 6}}).size() == 6);
  CHECK(set_of({{0, 2}, {4, 6}, {1, 5}}).missing({0, 6}).empty());
  CHECK(set_of({{2, 4}, {0, 9}}).size() == 9);
  CHECK(set_of({{5, 5}}).size() == 0);
}

TEST_CASE("end is where the last range ends") {
  CHECK(RangeSet().end() == 0);
  CHECK(set_of({{7, 9}, {0, 2}}).end() == 9);
}

TEST_CASE("any order of any ranges gives what marking the bytes one by one gives") {
  std::mt19937 random(1);
  for (int round = 0; round < 500; ++round) {
    std::vector<bool> marked(64);
    RangeSet set;
    for (int i = 0; i < 12; ++i) {
      const std::uint64_t begin = random() % 64;
      const std::uint64_t end = begin + random() % (65 - begin);
      set.add({begin, end});
      for (std::uint64_t at = begin; at < end; ++at) marked[at] = true;
    }
    std::vector<bool> seen(64, true);
    for (const Range& gap : set.missing({0, 64})) {
      REQUIRE(gap.begin < gap.end);
      for (std::uint64_t at = gap.begin; at < gap.end; ++at) seen[at] = false;
    }
    REQUIRE(seen == marked);
    REQUIRE(set.size() ==
            static_cast<std::uint64_t>(std::count(marked.begin(), marked.end(), true)));
  }
}

TEST_CASE("chunks lie on the grid and cover what they were cut from") {
  CHECK(cut_into_chunks({{0, 10}}, 4) == Ranges{{0, 4}, {4, 8}, {8, 10}});
  CHECK(cut_into_chunks({{3, 9}}, 4) == Ranges{{3, 4}, {4, 8}, {8, 9}});
  CHECK(cut_into_chunks({{0, 2}, {6, 8}}, 4) == Ranges{{0, 2}, {6, 8}});
  CHECK(cut_into_chunks({}, 4).empty());
}

TEST_CASE("chunks grow with the file, within bounds") {
  CHECK(chunk_bytes_for(1) == kMinChunkBytes);
  CHECK(chunk_bytes_for(1ULL << 30) == kMinChunkBytes);
  CHECK(chunk_bytes_for(100ULL << 30) == 32 << 20);
  CHECK(chunk_bytes_for(200ULL << 30) == 32 << 20);
  INFO("and there are never very many");
  for (const std::uint64_t size : {1ULL << 40, 1ULL << 50, (1ULL << 63) - 1}) {
    const auto chunks = cut_into_chunks({{0, size}}, chunk_bytes_for(size));
    CHECK(chunks.size() <= 8193);
    CHECK(chunks.back().end == size);
  }
}
