#include "app/report/live_status.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include "app/report/progress.h"
#include "ferry/base/text.h"
#include "ferry/base/units.h"

namespace ferry::app {
namespace {

constexpr std::string_view kClear = "\x1b[H\x1b[2J";

std::string rate_line(const AgentProgress& agent, std::size_t width) {
  const auto done = std::min(agent.bytes_done, agent.bytes);
  const double fraction = agent.bytes > 0
                              ? static_cast<double>(done) / static_cast<double>(agent.bytes)
                              : static_cast<double>(agent.files_done + agent.files_failed) /
                                    static_cast<double>(std::max<std::uint64_t>(agent.files, 1));
  const auto left = agent.time_left();
  return progress_line(
      fraction,
      fmt::format("{} of {}  {}/{} files  {}/s  ETA {}",
                  human_size(static_cast<double>(agent.bytes_done)),
                  human_size(static_cast<double>(agent.bytes)), agent.files_done, agent.files,
                  human_size(static_cast<double>(agent.rate)), left ? human_duration(*left) : "--"),
      width);
}

std::string to_text(const AgentProgress& agent, std::size_t width) {
  std::string text =
      fmt::format("{}  ({})\n", escape_controls(agent.destination), escape_controls(agent.process));
  if (agent.is_idle()) {
    text += "  waiting for files\n";
  } else {
    text += rate_line(agent, width) + "\n";
  }
  if (!agent.last_file.empty()) text += "  last: " + escape_controls(agent.last_file) + "\n";
  if (!agent.last_error.empty()) text += "  failed: " + escape_controls(agent.last_error) + "\n";
  return text;
}

}  // namespace

std::string live_screen(std::string_view counts, std::span<const AgentProgress> agents,
                        std::size_t width, Screen screen) {
  std::string text(screen == Screen::kCleared ? kClear : "");
  text += counts;
  text += "\n";
  if (agents.empty()) text += "no agent runs on this host\n";
  for (const AgentProgress& agent : agents) text += to_text(agent, width) + "\n";
  return text;
}

Screen screen_of_output() {
  return ::isatty(STDOUT_FILENO) != 0 ? Screen::kCleared : Screen::kContinued;
}

std::size_t terminal_width() {
  winsize size{};
  const bool known = ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : 80;
}

}  // namespace ferry::app
