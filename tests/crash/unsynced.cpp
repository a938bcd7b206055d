#include "unsynced.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>

#include "next.h"

namespace ferry::crash {
namespace {

struct Range {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

/// The descriptor is ours, and stays open: to close it would free locks of fcntl(2) on the file.
struct File {
  dev_t device = 0;
  ino_t inode = 0;
  int fd = -1;
  std::size_t count = 0;
  std::array<Range, 1024> ranges{};
};

std::array<File, 64> files;
std::size_t file_count = 0;
std::atomic_flag busy;

/// A plain one: the library is used before and after everything else.
class Guard {
 public:
  Guard() {
    while (busy.test_and_set(std::memory_order_acquire)) {
    }
  }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;
  ~Guard() { busy.clear(std::memory_order_release); }
};

File* find(const struct stat& status) {
  for (std::size_t i = 0; i < file_count; ++i) {
    if (files[i].inode == status.st_ino && files[i].device == status.st_dev) return &files[i];
  }
  return nullptr;
}

/// Out of the way of those that the program gets.
int open_again(int fd) {
  constexpr int kLowest = 500;
  char path[64];
  std::snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  const long low = next_syscall()(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
  if (low < 0) return -1;
  const long high = next_syscall()(SYS_fcntl, low, F_DUPFD_CLOEXEC, kLowest);
  next_syscall()(SYS_close, low);
  return static_cast<int>(high);
}

File* find_or_add(int fd) {
  struct stat status{};
  if (::fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) return nullptr;
  if (File* known = find(status)) return known;
  if (file_count == files.size()) return nullptr;
  const int ours = open_again(fd);
  if (ours < 0) return nullptr;
  File& added = files[file_count++];
  added.device = status.st_dev;
  added.inode = status.st_ino;
  added.fd = ours;
  return &added;
}

}  // namespace

void note_written(int fd, std::uint64_t end, std::uint64_t size) {
  const Guard guard;
  File* file = find_or_add(fd);
  if (file == nullptr) return;
  const Range written{end - size, end};
  if (file->count > 0 && file->ranges[file->count - 1].end == written.begin) {
    file->ranges[file->count - 1].end = written.end;
  } else if (file->count < file->ranges.size()) {
    file->ranges[file->count++] = written;
  }
}

void note_synced(int fd) {
  const Guard guard;
  struct stat status{};
  if (::fstat(fd, &status) != 0) return;
  if (File* file = find(status)) file->count = 0;
}

void lose_unsynced() {
  const Guard guard;
  static constexpr std::array<char, 4096> kZeros{};
  for (std::size_t i = 0; i < file_count; ++i) {
    for (std::size_t k = 0; k < files[i].count; ++k) {
      for (std::uint64_t at = files[i].ranges[k].begin; at < files[i].ranges[k].end;) {
        const std::uint64_t size = std::min(files[i].ranges[k].end - at, kZeros.size() + 0UL);
        next_syscall()(SYS_pwrite64, files[i].fd, kZeros.data(), size, at);
        at += size;
      }
    }
  }
}

}  // namespace ferry::crash
