// Shows how a transfer goes: a bar on a terminal, else one log line per event.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "ferry/base/file.h"
#include "ferry/base/log.h"
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
std::string progress_line(double fraction, std::string_view numbers, std::size_t width);

/// Knows how much was sent, too.
class CountingObserver : public transfer::Observer {
 public:
  void on_bytes(std::uint64_t acknowledged) override { sent_ += acknowledged; }
  std::uint64_t sent() const { return sent_; }

 private:
  std::atomic<std::uint64_t> sent_ = 0;
};

/// Makes what is told of the runs to destinations, one for each. On a terminal
/// (stderr), unless logs are for programs: one bar for all of them, drawn at most ten times a
/// second, wiped under log lines and when the last of them goes; of deliveries it logs each at
/// level debug only. Else: a log line for each, and one every INTERVAL while bytes move. May be
/// called on any thread. Each also tells in the directory AGENTS how far it is
/// (base/agent_progress.h).
using MakeObserver = std::function<std::unique_ptr<CountingObserver>(std::string destination)>;
MakeObserver make_observers(log::Format format, const fs::path& agents,
                            std::chrono::milliseconds interval = std::chrono::minutes(1));

}  // namespace ferry::app
