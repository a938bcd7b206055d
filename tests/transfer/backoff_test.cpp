#include "transfer/deliver/backoff.h"

#include <doctest/doctest.h>

using namespace ferry::transfer;
using std::chrono::milliseconds;

TEST_CASE("each wait is twice the one before, up to the longest") {
  const Retries retries{
      .limit = 5, .first_delay = milliseconds(100), .longest_delay = milliseconds(1000)};
  CHECK(backoff(retries, 0, 1) == milliseconds(100));
  CHECK(backoff(retries, 1, 1) == milliseconds(200));
  CHECK(backoff(retries, 3, 1) == milliseconds(800));
  CHECK(backoff(retries, 4, 1) == milliseconds(1000));
  CHECK(backoff(retries, 1000, 1) == milliseconds(1000));
}

TEST_CASE("chance takes up to half of it away") {
  const Retries retries{.limit = 5, .first_delay = milliseconds(100)};
  CHECK(backoff(retries, 0, 0) == milliseconds(50));
  CHECK(backoff(retries, 0, 0.5) == milliseconds(75));
}
