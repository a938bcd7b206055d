#include "ferry/base/intent_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <boost/filesystem/directory.hpp>
#include <cerrno>
#include <optional>
#include <vector>

#include "ferry/base/uuid.h"

namespace ferry {
namespace {

constexpr std::string_view kSuffix = ".jsonl";
constexpr mode_t kMode = 0600;

/// Made, and locked. Whoever looks for orphans between these two takes it for one, and removes it.
Result<std::optional<FileLock>> make_locked(const fs::path& path) {
  auto fd = open_file(path, O_RDWR | O_CREAT | O_EXCL | O_APPEND, kMode);
  if (!fd) return fd.error();
  auto lock = FileLock::try_acquire(std::move(*fd), path);
  if (!lock) ::unlink(path.c_str());
  if (!lock || !*lock) return lock;
  const auto status = stat_fd((*lock)->fd(), path);
  if (!status) return status.error();
  if (status->st_nlink == 0) return std::optional<FileLock>();
  return lock;
}

Result<std::optional<IntentLog::Orphan>> adopt(const fs::path& path) {
  using Orphan = IntentLog::Orphan;
  auto fd = open_file(path, O_RDWR);
  if (!fd && fd.error().kind == ErrorKind::kNotFound) return std::optional<Orphan>();
  if (!fd) return fd.error();
  auto lock = FileLock::try_acquire(std::move(*fd), path);
  if (!lock) return lock.error();
  if (!*lock) return std::optional<Orphan>();
  const auto status = stat_fd((*lock)->fd(), path);
  if (!status) return status.error();
  if (status->st_nlink == 0) return std::optional<Orphan>();  // its process has just ended it
  auto text = read_file(path);
  if (!text) return text.error();
  return std::optional(Orphan{path, std::move(**lock), std::move(*text)});
}

}  // namespace

Result<IntentLog> IntentLog::create(const fs::path& directory, std::string_view line) {
  if (auto made = make_directories(directory); !made) return made.error();
  fs::path path;
  std::optional<FileLock> lock;
  while (!lock) {
    path = directory / (uuid_v7() + std::string(kSuffix));
    auto made = make_locked(path);
    if (!made) return made.error();
    lock = std::move(*made);
  }
  IntentLog log(std::move(path), std::move(*lock));
  auto done = log.append(line);
  if (done) done = sync_directory(directory);
  if (done) return log;
  log.remove();
  return done.error();
}

Result<void> IntentLog::append(std::string_view line) {
  const std::string text = std::string(line) + "\n";
  if (auto written = write_full(lock_.fd(), as_bytes(text), path_); !written) return written;
  if (::fdatasync(lock_.fd()) == 0) return {};
  return errno_error(errno, fmt::format("fdatasync {}", path_.string()));
}

void IntentLog::remove() {
  ::unlink(path_.c_str());
}

Result<void> IntentLog::visit_orphans(const fs::path& directory,
                                      const std::function<Result<void>(const Orphan&)>& visitor) {
  std::vector<fs::path> logs;
  boost::system::error_code code;
  for (fs::directory_iterator entry(directory, code), end; !code && entry != end;
       entry.increment(code)) {
    if (entry->path().extension() == fs::path(std::string(kSuffix))) logs.push_back(entry->path());
  }
  if (code && code.value() != ENOENT) {
    return errno_error(code.value(), fmt::format("read directory {}", directory.string()));
  }
  for (const fs::path& log : logs) {
    const auto orphan = adopt(log);
    if (!orphan) return orphan.error();
    if (!*orphan) continue;
    if (auto visited = visitor(**orphan); !visited) return visited;
  }
  return {};
}

}  // namespace ferry
