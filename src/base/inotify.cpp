#include "ferry/base/inotify.h"

#include <sys/inotify.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace ferry {
namespace {

constexpr std::uint32_t kMask = IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE |
                                IN_MOVED_FROM | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR |
                                IN_DONT_FOLLOW | IN_EXCL_UNLINK;

constexpr std::size_t kReadBuffer = std::size_t{64} * 1024;
// Enough to empty a full queue of 16384 events with long names in one go.
constexpr int kMaxReads = 80;

constexpr std::array kKinds{
    std::pair{std::uint32_t{IN_Q_OVERFLOW}, EventKind::kOverflow},
    std::pair{std::uint32_t{IN_IGNORED}, EventKind::kUnwatched},
    std::pair{std::uint32_t{IN_UNMOUNT}, EventKind::kUnmounted},
    std::pair{std::uint32_t{IN_DELETE_SELF}, EventKind::kSelfDeleted},
    std::pair{std::uint32_t{IN_MOVE_SELF}, EventKind::kSelfMoved},
    std::pair{std::uint32_t{IN_CLOSE_WRITE}, EventKind::kWritten},
    std::pair{std::uint32_t{IN_MOVED_TO}, EventKind::kMovedIn},
    std::pair{std::uint32_t{IN_MOVED_FROM}, EventKind::kMovedOut},
    std::pair{std::uint32_t{IN_DELETE}, EventKind::kDeleted},
    std::pair{std::uint32_t{IN_CREATE}, EventKind::kCreated},
    std::pair{std::uint32_t{IN_MODIFY}, EventKind::kModified},
};

EventKind kind_of(std::uint32_t mask) {
  for (const auto& [bit, kind] : kKinds) {
    if ((mask & bit) != 0) return kind;
  }
  return EventKind::kOther;
}

}  // namespace

Decoded decode(std::span<const std::byte> bytes) {
  Decoded decoded;
  while (!bytes.empty()) {
    struct inotify_event header{};
    decoded.truncated = true;
    if (bytes.size() < sizeof header) break;
    std::memcpy(&header, bytes.data(), sizeof header);
    bytes = bytes.subspan(sizeof header);
    if (bytes.size() < header.len) break;
    decoded.truncated = false;
    const char* name = reinterpret_cast<const char*>(bytes.data());
    decoded.events.push_back({.kind = kind_of(header.mask),
                              .watch = header.wd,
                              .directory = (header.mask & IN_ISDIR) != 0,
                              .name = std::string(name, ::strnlen(name, header.len))});
    bytes = bytes.subspan(header.len);
  }
  return decoded;
}

Result<Inotify> Inotify::create() {
  UniqueFd fd(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!fd) return errno_error(errno, "create an inotify queue");
  return Inotify(std::move(fd));
}

Result<int> Inotify::watch(const std::string& path, std::uint32_t mask) {
  const int watch = ::inotify_add_watch(fd_.get(), path.c_str(), mask | IN_DONT_FOLLOW);
  if (watch < 0) return errno_error(errno, fmt::format("watch {}", path));
  return watch;
}

Result<int> Inotify::watch_directory(const std::string& path) {
  return watch(path, kMask);
}

Result<int> Inotify::watch_writes(const std::string& path) {
  return watch(path, IN_MODIFY);
}

Result<int> Inotify::watch_names(const std::string& path) {
  return watch(path, IN_CREATE | IN_MOVED_TO | IN_ONLYDIR);
}

void Inotify::unwatch(int watch) {
  // Fails only if the kernel has dropped the watch already.
  ::inotify_rm_watch(fd_.get(), watch);
}

Result<std::vector<InotifyEvent>> Inotify::read_events() {
  alignas(struct inotify_event) std::array<std::byte, kReadBuffer> buffer;
  std::vector<InotifyEvent> events;
  for (int reads = 0; reads < kMaxReads;) {
    const ssize_t count = ::read(fd_.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno != EAGAIN) return errno_error(errno, "read inotify events");
    if (count <= 0) break;
    ++reads;
    Decoded decoded = decode(std::span(buffer.data(), static_cast<std::size_t>(count)));
    std::move(decoded.events.begin(), decoded.events.end(), std::back_inserter(events));
    if (decoded.truncated) events.push_back({.kind = EventKind::kOverflow, .watch = -1});
  }
  return events;
}

}  // namespace ferry
