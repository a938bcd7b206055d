#include "ferry/sftp/remote_command.h"
#include "ferry/base/text.h"

#include <algorithm>
#include <array>
#include <climits>

#include "sftp/ssh/channel_end.h"
#include "sftp/ssh/dial.h"

namespace ferry::sftp {
namespace {

constexpr std::size_t kMaxOutputBytes = 1 << 20;

/// Until CHANNEL has something to say, or there is another reason to look.
void wait(const Channel& channel, Clock::time_point deadline, const StopToken& stop) {
  std::vector<pollfd> fds;
  channel.add_poll_fds(false, fds);
  fds.push_back({stop.fd(), POLLIN, 0});
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
  ::poll(fds.data(), fds.size(), static_cast<int>(std::clamp<long long>(left, 0, INT_MAX)));
}

}  // namespace

std::string shell_quoted(std::span<const std::string> words) {
  std::string line;
  for (const std::string& word : words) {
    line += line.empty() ? "'" : " '";
    for (const char letter : word) {
      if (letter == '\'') {
        line += R"('\'')";
      } else {
        line += letter;
      }
    }
    line += '\'';
  }
  return line;
}

Result<CommandEnd> run_remote_command(ConnectOptions account, std::string command,
                                      std::chrono::milliseconds limit, StopToken& stop) {
  account.command = std::move(command);
  const auto channel = connect(account, stop);
  if (!channel) return channel.error();
  const std::string peer = peer_name(account.host, account.port);
  const auto deadline = Clock::now() + limit;
  CommandEnd end;
  std::array<std::byte, 16 * 1024> buffer;
  for (;;) {
    const auto count = (*channel)->read(buffer);
    if (!count) {
      if (count.error().kind != ErrorKind::kFailed) return count.error();
      const auto last = last_line(end.output);
      end.how = count.error().message + (last.empty() ? "" : ": ") + excerpt(last);
      return end;
    }
    if (*count > 0) {
      end.output.append(reinterpret_cast<const char*>(buffer.data()), *count);
      if (end.output.size() <= kMaxOutputBytes) continue;
      return make_error(ErrorKind::kFailed, "{}: the command writes without end", peer);
    }
    if (stop.stop_requested()) return cancelled(peer);
    if (Clock::now() >= deadline) {
      return make_error(ErrorKind::kConnectionLost, "{}: the command did not end within {}", peer,
                        seconds_text(limit));
    }
    wait(**channel, deadline, stop);
  }
}

}  // namespace ferry::sftp
