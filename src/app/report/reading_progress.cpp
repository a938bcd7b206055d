#include "app/report/reading_progress.h"

#include <unistd.h>

#include <chrono>
#include <memory>
#include <optional>

#include "app/report/progress.h"
#include "ferry/base/log.h"
#include "ferry/base/units.h"

namespace ferry::app {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kSilence{1'000};
constexpr milliseconds kRedraw{100};
constexpr milliseconds kLogInterval{5'000};

class ReadingProgress {
 public:
  void show(std::uint64_t bytes, std::uint64_t total) {
    const auto now = Clock::now();
    if (!began_ || bytes < bytes_) began_ = shown_ = now;
    bytes_ = bytes;
    if (bytes == total) return end();
    const auto since_shown = now - shown_;
    if (now - *began_ < kSilence) return;
    if (is_terminal_ && since_shown >= kRedraw) {
      draw(bytes, total, now);
    } else if (!is_terminal_ && (!is_visible_ || since_shown >= kLogInterval)) {
      log::info("reading the metastore", {{"done", human_size(static_cast<double>(bytes))},
                                          {"of", human_size(static_cast<double>(total))}});
    } else {
      return;
    }
    is_visible_ = true;
    shown_ = now;
  }

 private:
  void draw(std::uint64_t bytes, std::uint64_t total, Clock::time_point now) const {
    const double done = static_cast<double>(bytes) / static_cast<double>(total);
    constexpr int kWidth = 30;
    const int filled = static_cast<int>(done * kWidth);
    fmt::print(stderr, "\r\x1b[Kreading the metastore [{:#<{}}{:{}}] {:3.0f}%  {} of {}  {}", "",
               filled, "", kWidth - filled, done * 100, human_size(static_cast<double>(bytes)),
               human_size(static_cast<double>(total)),
               human_duration(std::chrono::floor<milliseconds>(now - *began_)));
    std::fflush(stderr);
  }

  void end() {
    if (is_visible_ && is_terminal_) {
      fmt::print(stderr, "\r\x1b[K");
      std::fflush(stderr);
    }
    is_visible_ = false;
    began_.reset();
  }

  const bool is_terminal_ = ::isatty(STDERR_FILENO) != 0;
  std::optional<Clock::time_point> began_;
  Clock::time_point shown_;
  std::uint64_t bytes_ = 0;
  bool is_visible_ = false;
};

}  // namespace

std::function<void(std::uint64_t bytes, std::uint64_t total)> show_reading() {
  return [progress = std::make_shared<ReadingProgress>()](
             std::uint64_t bytes, std::uint64_t total) { progress->show(bytes, total); };
}

}  // namespace ferry::app
