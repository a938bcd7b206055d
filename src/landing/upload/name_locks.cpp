#include "landing/upload/name_locks.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "ferry/base/hash.h"

namespace ferry::landing {
namespace {

using Clock = std::chrono::steady_clock;

/// Bytes of the lock file. Names that share one only wait for each other.
constexpr std::size_t kSlots = 1 << 16;
/// With more names all of them are locked at once.
constexpr std::size_t kMostSlots = 256;
constexpr std::chrono::milliseconds kPause{5};
constexpr mode_t kMode = 0600;

struct Range {
  off_t start = 0;
  off_t length = 0;
};

off_t slot_of(const std::string& landing, const std::string& path) {
  const Checksum sum = sha256_of(landing + '\0' + path);
  const auto byte = [&](std::size_t i) { return std::to_integer<std::size_t>(sum.digest.at(i)); };
  return static_cast<off_t>((byte(0) << 8U | byte(1)) % kSlots);
}

/// In their order: two that want several names do not wait for each other for ever.
std::vector<Range> ranges_of(const std::string& landing, std::span<const StagedFile> files) {
  std::set<off_t> slots;
  for (const StagedFile& file : files) slots.insert(slot_of(landing, file.path));
  if (slots.size() > kMostSlots) return {{0, static_cast<off_t>(kSlots)}};
  std::vector<Range> ranges;
  for (const off_t slot : slots) ranges.push_back({slot, 1});
  return ranges;
}

bool try_lock(int fd, const Range& range) {
  struct flock lock{};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = range.start;
  lock.l_len = range.length;
  return ::fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

}  // namespace

Result<NameLocks> NameLocks::acquire(fs::path journals, const std::string& landing,
                                     std::span<const StagedFile> files,
                                     std::chrono::milliseconds timeout, const StopToken& stop) {
  const fs::path path = journals += ".lock";  // beside them
  auto fd = open_file(path, O_RDWR | O_CREAT, kMode);
  if (!fd) return fd.error();
  const auto deadline = Clock::now() + timeout;
  for (const Range& range : ranges_of(landing, files)) {
    while (!try_lock(fd->get(), range)) {
      if (errno != EAGAIN && errno != EACCES && errno != EINTR) {
        return errno_error(errno, fmt::format("lock {}", path.string()));
      }
      if (Clock::now() > deadline) {
        return make_error(ErrorKind::kBusy, "{}: others are giving this name", files.front().path);
      }
      if (!sleep_unless_stopped(kPause, stop)) {
        return make_error(ErrorKind::kCancelled, "stopped");
      }
    }
  }
  return NameLocks(std::move(*fd));
}

}  // namespace ferry::landing
