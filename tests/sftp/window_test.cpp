#include "sftp/client/window.h"

#include <doctest/doctest.h>

using ferry::sftp::useful_window;
using namespace std::chrono_literals;

TEST_CASE("a window is what the line can carry in a round trip") {
  constexpr std::size_t kMiB = 1 << 20;
  CHECK(useful_window(5ms, 4 * kMiB) == 2 * kMiB);
  INFO("at least what keeps a server busy");
  CHECK(useful_window(20us, 4 * kMiB) == kMiB);
  INFO("never more than is allowed, as little as that may be");
  CHECK(useful_window(20us, kMiB / 4) == kMiB / 4);
  CHECK(useful_window(200ms, 4 * kMiB) == 4 * kMiB);
  CHECK(useful_window(std::chrono::nanoseconds::max(), 4 * kMiB) == 4 * kMiB);
}
