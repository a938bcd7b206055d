#include "ferry/base/bounded_queue.h"

#include <doctest/doctest.h>

#include <thread>

namespace ferry {
namespace {

TEST_CASE("items come out in their order, and after the end nothing does") {
  BoundedQueue<int> queue(2);
  std::thread giver([&] {
    for (int number = 0; number < 1'000; ++number) queue.push(number);
    queue.close();
  });
  int expected = 0;
  while (const auto item = queue.pop()) {
    CHECK(*item == expected);
    ++expected;
  }
  giver.join();
  CHECK(expected == 1'000);
  CHECK_FALSE(queue.pop());
}

TEST_CASE("whoever waits for room in a queue learns that nothing more is wanted") {
  BoundedQueue<int> queue(1);
  REQUIRE(queue.push(1));
  std::thread taker([&] { queue.close(); });
  CHECK_FALSE(queue.push(2));
  taker.join();
}

}  // namespace
}  // namespace ferry
