#include "ferry/base/intent_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <boost/filesystem/directory.hpp>
#include <cerrno>
#include <chrono>
#include <optional>

#include "ferry/base/time.h"
#include "ferry/base/uuid.h"

namespace ferry {
namespace {

constexpr std::string_view kSuffix = ".jsonl";
constexpr std::chrono::seconds kLockTimeout{5};
/// Between its creation and its first line a file is empty and perhaps not yet locked.
constexpr std::chrono::minutes kCreationTime{1};

bool was_just_created(const struct stat& status) {
  if (status.st_size > 0) return false;
  const auto age = std::chrono::nanoseconds(now().time_since_epoch()) -
                   std::chrono::nanoseconds(identity_of(status).mtime_ns);
  return age < kCreationTime;
}

Result<std::optional<IntentLog::Orphan>> adopt(const fs::path& path) {
  using Orphan = IntentLog::Orphan;
  const auto gone = [](const Error& error) -> Result<std::optional<Orphan>> {
    if (error.kind == ErrorKind::kNotFound) return std::optional<Orphan>();
    return error;
  };
  const auto fd = open_file(path, O_RDONLY);
  if (!fd) return gone(fd.error());
  auto lock = FileLock::try_acquire(path);
  if (!lock) return gone(lock.error());
  const auto status = stat_fd(fd->get(), path);
  if (!status) return status.error();
  if (!*lock || was_just_created(*status)) return std::optional<Orphan>();
  if (status->st_nlink == 0) {
    // Whoever had it was done with it before we locked what is an empty file of its name now.
    ::unlink(path.c_str());
    return std::optional<Orphan>();
  }
  auto text = read_file(path);
  if (!text) return gone(text.error());
  return std::optional(Orphan{path, std::move(**lock), std::move(*text)});
}

}  // namespace

Result<IntentLog> IntentLog::create(const fs::path& directory, std::string_view line) {
  if (auto made = make_directories(directory); !made) return made.error();
  fs::path path = directory / (uuid_v7() + std::string(kSuffix));
  auto lock = FileLock::acquire(path, kLockTimeout);
  if (!lock) return lock.error();
  auto fd = open_file(path, O_WRONLY | O_APPEND);
  if (!fd) {
    ::unlink(path.c_str());
    return fd.error();
  }
  IntentLog log(std::move(path), std::move(*lock), std::move(*fd));
  auto done = log.append(line);
  if (done) done = sync_directory(directory);
  if (done) return log;
  log.remove();
  return done.error();
}

Result<void> IntentLog::append(std::string_view line) {
  const std::string text = std::string(line) + "\n";
  if (auto written = write_full(fd_.get(), as_bytes(text), path_); !written) return written;
  if (::fdatasync(fd_.get()) == 0) return {};
  return errno_error(errno, fmt::format("fdatasync {}", path_.string()));
}

void IntentLog::remove() {
  ::unlink(path_.c_str());
}

Result<std::vector<IntentLog::Orphan>> IntentLog::find_orphans(const fs::path& directory) {
  std::vector<Orphan> orphans;
  boost::system::error_code code;
  for (fs::directory_iterator entry(directory, code), end; !code && entry != end;
       entry.increment(code)) {
    if (entry->path().extension() != fs::path(std::string(kSuffix))) continue;
    auto orphan = adopt(entry->path());
    if (!orphan) return orphan.error();
    if (*orphan) orphans.push_back(std::move(**orphan));
  }
  if (code && code.value() != ENOENT) {
    return errno_error(code.value(), fmt::format("read directory {}", directory.string()));
  }
  return orphans;
}

}  // namespace ferry
