// Shows how a transfer goes: a bar on a terminal, else one log line per event.
#pragma once

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

#include "ferry/transfer/agent.h"

namespace ferry::app {

/// What a progress bar tells at one moment.
struct Progress {
  std::uint64_t files = 0;
  std::uint64_t files_done = 0;
  std::uint64_t bytes = 0;
  std::uint64_t bytes_done = 0;
  std::chrono::milliseconds elapsed{};
};

/// One line of at most WIDTH columns, without a line end.
std::string progress_line(const Progress& progress, std::size_t width);

/// Knows how much was sent, too.
class CountingObserver : public transfer::Observer {
 public:
  void on_bytes(std::uint64_t acknowledged) override { sent_ += acknowledged; }
  std::uint64_t sent() const { return sent_; }

 private:
  std::uint64_t sent_ = 0;
};

std::unique_ptr<CountingObserver> make_log_observer(std::string destination);

/// The same for a person: draws on TERMINAL, which is stderr, at most ten times a second; wipes the
/// bar when it goes, and under log lines. Of deliveries it logs each at level debug only.
std::unique_ptr<CountingObserver> make_bar_observer(std::string destination, std::FILE* terminal);

}  // namespace ferry::app
