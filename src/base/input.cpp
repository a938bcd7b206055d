#include "ferry/base/input.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace ferry {
namespace {

constexpr std::size_t kBlockBytes = 64 * 1024;
constexpr std::chrono::milliseconds kLeasePause{50};

}  // namespace

Result<void> wait_until_readable(int fd, const StopToken& stop) {
  std::array<pollfd, 2> waiting{{{fd, POLLIN, 0}, {stop.fd(), POLLIN, 0}}};
  ::poll(waiting.data(), waiting.size(), -1);
  if (stop.stop_requested()) return make_error(ErrorKind::kCancelled, "stopped");
  return {};
}

Result<UniqueFd> open_input(const fs::path& path, const StopToken& stop) {
  for (;;) {
    auto fd = open_file(path, O_RDONLY);
    if (fd || fd.error().os_code != EWOULDBLOCK) return fd;
    if (!sleep_unless_stopped(kLeasePause, stop)) {
      return make_error(ErrorKind::kCancelled, "stopped");
    }
  }
}

Result<std::string> read_input(int fd, const fs::path& path_for_messages, std::size_t most,
                               const StopToken& stop) {
  std::string text;
  for (;;) {
    if (auto waited = wait_until_readable(fd, stop); !waited) return waited.error();
    const std::size_t before = text.size();
    text.resize(before + kBlockBytes);
    const ssize_t count = ::read(fd, text.data() + before, kBlockBytes);
    if (count < 0 && errno != EINTR && errno != EAGAIN) {
      return errno_error(errno, "read " + path_for_messages.string());
    }
    text.resize(before + static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    if (count == 0) return text;
    if (text.size() > most) {
      return make_error(ErrorKind::kInvalid, "{}: it is larger than {} MiB",
                        path_for_messages.string(), most >> 20);
    }
  }
}

Result<std::string> read_input(const fs::path& path, std::size_t most, const StopToken& stop) {
  const auto fd = open_input(path, stop);
  if (!fd) return fd.error();
  return read_input(fd->get(), path, most, stop);
}

}  // namespace ferry
