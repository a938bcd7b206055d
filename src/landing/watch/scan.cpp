#include "landing/watch/scan.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <string_view>
#include <utility>

#include "ferry/base/directory.h"

namespace ferry::landing {

std::string join(const std::string& directory, const std::string& name) {
  return directory.empty() ? name : directory + "/" + name;
}

Result<DirectoryReader> DirectoryReader::open(int root_fd, const std::string& directory) {
  auto fd = open_beneath(root_fd, directory.empty() ? "." : directory, O_RDONLY | O_DIRECTORY);
  if (!fd) return fd.error();
  // The stream owns the descriptor from here on.
  DIR* stream = ::fdopendir(::fcntl(fd->get(), F_DUPFD_CLOEXEC, 0));
  if (stream == nullptr) return errno_error(errno, fmt::format("read directory {}", directory));
  return DirectoryReader(stream);
}

Result<std::optional<DirectoryReader::Entry>> DirectoryReader::next() {
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(stream_.get());
    // ENOENT: the directory itself was removed.
    if (entry == nullptr && (errno == 0 || errno == ENOENT)) return std::optional<Entry>();
    if (entry == nullptr) return errno_error(errno, "read directory");
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    bool directory = entry->d_type == DT_DIR;
    if (entry->d_type == DT_UNKNOWN) {
      const auto status = stat_at(::dirfd(stream_.get()), entry->d_name);
      if (!status && status.error().kind == ErrorKind::kNotFound) continue;
      if (!status) return status.error();
      directory = S_ISDIR(status->st_mode);
    }
    return std::optional(Entry{std::string(name), directory});
  }
}

void Scan::clear() {
  *this = Scan();
}

void Scan::step(int root_fd, ScanVisitor& visitor, std::size_t budget, bool may_list) {
  budget = arm_some(root_fd, visitor, budget);
  if (budget > 0 && may_list) list_some(root_fd, visitor, budget);
}

bool Scan::begin(std::optional<Reading>& reading, Queue& queue, int root_fd, ScanVisitor& visitor) {
  if (reading) return true;
  std::string directory = std::move(queue.front());
  queue.pop_front();
  auto reader = DirectoryReader::open(root_fd, directory);
  if (!reader) {
    // Vanished, or replaced by something else: its parent's events tell.
    if (reader.error().kind != ErrorKind::kNotFound) visitor.unreadable(directory, reader.error());
    return false;
  }
  reading.emplace(std::move(directory), std::move(*reader));
  return true;
}

std::optional<DirectoryReader::Entry> Scan::read_next(std::optional<Reading>& reading,
                                                      ScanVisitor& visitor) {
  auto entry = reading->reader.next();
  if (entry && *entry) return std::move(*entry);
  if (!entry) visitor.unreadable(reading->directory, entry.error());
  reading.reset();
  return std::nullopt;
}

std::size_t Scan::arm_some(int root_fd, ScanVisitor& visitor, std::size_t budget) {
  while (budget > 0 && !all_armed()) {
    --budget;
    if (!arming_) {
      if (!visitor.arm(to_arm_.front())) {
        to_arm_.pop_front();
        continue;
      }
      if (!begin(arming_, to_arm_, root_fd, visitor)) continue;
      to_list_.push_back(arming_->directory);
    }
    const std::string& directory = arming_->directory;
    const auto entry = read_next(arming_, visitor);
    if (!entry || !entry->directory) continue;
    std::string below = join(directory, entry->name);
    if (visitor.enters(below)) to_arm_.push_back(std::move(below));
  }
  return budget;
}

void Scan::list_some(int root_fd, ScanVisitor& visitor, std::size_t budget) {
  while (budget > 0 && !done()) {
    --budget;
    if (!begin(listing_, to_list_, root_fd, visitor)) continue;
    const auto entry = read_next(listing_, visitor);
    if (entry && !entry->directory) visitor.found(join(listing_->directory, entry->name));
  }
}

}  // namespace ferry::landing
