#include "ferry/base/uuid.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <charconv>
#include <chrono>
#include <cstdint>
#include <exception>
#include <mutex>

namespace ferry {
namespace {

/// The 74 random bits of RFC 9562 §5.7 as a counter: started at random in each millisecond and
/// incremented within it (§6.2, method 2), which keeps ids of one process in order.
struct Generator {
  std::mutex mutex;
  std::uint64_t last_ms = 0;
  std::uint64_t high = 0;  // 12 bits: rand_a
  std::uint64_t low = 0;   // 62 bits: rand_b

  void start_at_random() {
    std::uint64_t random[2];
    if (::getrandom(random, sizeof random, 0) != sizeof random) std::terminate();
    high = random[0] & 0x7FF;  // top bit clear: room to count up
    low = random[1] & kLowMask;
  }
  void increment() {
    low = (low + 1) & kLowMask;
    if (low == 0) ++high;
  }

  static constexpr std::uint64_t kLowMask = (std::uint64_t{1} << 62) - 1;
};

}  // namespace

std::string uuid_v7() {
  static Generator generator;
  const std::scoped_lock lock(generator.mutex);
  const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::system_clock::now().time_since_epoch());
  const auto now_ms = static_cast<std::uint64_t>(now.count());
  if (now_ms > generator.last_ms) {
    generator.last_ms = now_ms;
    generator.start_at_random();
  } else {
    generator.increment();
  }
  const std::uint64_t time = generator.last_ms;
  const std::uint64_t low = generator.low | (std::uint64_t{0b10} << 62);
  return fmt::format("{:08x}-{:04x}-7{:03x}-{:04x}-{:012x}", time >> 16, time & 0xFFFF,
                     generator.high, low >> 48, low & 0xFFFFFFFFFFFF);
}

bool is_uuid(std::string_view text) {
  constexpr std::size_t kLength = 36;
  constexpr std::string_view kDigits = "0123456789abcdef";
  if (text.size() != kLength) return false;
  for (std::size_t i = 0; i < kLength; ++i) {
    const bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (is_dash ? text[i] != '-' : !kDigits.contains(text[i])) return false;
  }
  return true;
}

std::optional<Timestamp> time_of_uuid(std::string_view uuid) {
  constexpr std::size_t kLength = 36;
  if (uuid.size() != kLength || uuid[8] != '-' || uuid[13] != '-' || uuid[14] != '7') {
    return std::nullopt;
  }
  const std::string digits = std::string(uuid.substr(0, 8)).append(uuid.substr(9, 4));
  std::uint64_t time = 0;
  const char* end = digits.data() + digits.size();
  const auto [rest, error] = std::from_chars(digits.data(), end, time, 16);
  if (error != std::errc{} || rest != end) return std::nullopt;
  return Timestamp(std::chrono::milliseconds(static_cast<std::int64_t>(time)));
}

}  // namespace ferry
