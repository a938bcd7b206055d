#include "ferry/base/agent_progress.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <tuple>

#include "ferry/base/json.h"
#include "ferry/base/uuid.h"

namespace ferry {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kInterval{500};
constexpr seconds kRateTime{10};
constexpr seconds kStale{10};  // then it is not moving
constexpr int kTries = 3;
constexpr mode_t kMode = 0640;

std::string process_name() {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  return fmt::format("{}-{}", host.data(), ::getpid());
}

std::string to_line(const AgentProgress& progress) {
  return to_text({{"process", progress.process},
                  {"destination", progress.destination},
                  {"started", format_timestamp(progress.started)},
                  {"updated", format_timestamp(progress.updated)},
                  {"files", progress.files},
                  {"files_done", progress.files_done},
                  {"files_failed", progress.files_failed},
                  {"bytes", progress.bytes},
                  {"bytes_done", progress.bytes_done},
                  {"rate", progress.rate},
                  {"last_file", progress.last_file},
                  {"last_error", progress.last_error}}) +
         "\n";
}

std::optional<AgentProgress> parse_progress(const std::string& text) try {
  const Json json = Json::parse(text);
  const auto started = parse_timestamp(json.at("started").get<std::string>());
  const auto updated = parse_timestamp(json.at("updated").get<std::string>());
  if (!started || !updated) return std::nullopt;
  return AgentProgress{.process = json.at("process"),
                       .destination = json.at("destination"),
                       .started = *started,
                       .updated = *updated,
                       .files = json.at("files"),
                       .files_done = json.at("files_done"),
                       .files_failed = json.at("files_failed"),
                       .bytes = json.at("bytes"),
                       .bytes_done = json.at("bytes_done"),
                       .rate = json.at("rate"),
                       .last_file = json.at("last_file"),
                       .last_error = json.at("last_error")};
} catch (const Json::exception&) {
  return std::nullopt;
}

/// Its run may be writing it just now.
std::optional<AgentProgress> read_progress(const fs::path& path) {
  const auto held = FileLock::is_held(path);
  if (!held || !*held) return std::nullopt;
  for (int i = 0; i < kTries; ++i) {
    const auto text = read_file(path);
    if (!text) return std::nullopt;
    auto progress = parse_progress(*text);
    if (!progress) continue;
    if (now() - progress->updated > kStale) progress->rate = 0;
    return progress;
  }
  return std::nullopt;
}

/// Nobody else's file is taken for a note, or away.
bool is_note(const fs::path& path) {
  struct stat status{};
  return path.extension() == ".json" && is_uuid(path.stem().string()) &&
         ::lstat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode);
}

Result<std::vector<fs::path>> notes_in(const fs::path& directory) {
  std::vector<fs::path> notes;
  boost::system::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    if (is_note(it->path())) notes.push_back(it->path());
  }
  if (error && error.value() != ENOENT) return errno_error(error.value(), directory.string());
  return notes;
}

/// Who made one just now has not locked it yet, perhaps: it sees that it is gone.
void remove_dead(const fs::path& directory) {
  const auto notes = notes_in(directory);
  if (!notes) return;
  for (const fs::path& note : *notes) {
    auto fd = open_file(note, O_RDWR);
    const auto lock = fd ? FileLock::try_acquire(std::move(*fd), note) : fd.error();
    if (lock && *lock) ::unlink(note.c_str());
  }
}

/// Nothing: others took it for one of the dead.
Result<std::optional<FileLock>> make_locked(const fs::path& path) {
  auto fd = open_file(path, O_RDWR | O_CREAT | O_EXCL, kMode);
  if (!fd) return fd.error();
  auto lock = FileLock::try_acquire(std::move(*fd), path);
  struct stat there{};
  const bool is_gone = lock && *lock && ::lstat(path.c_str(), &there) != 0 && errno == ENOENT;
  if (is_gone) lock->reset();
  return lock;
}

}  // namespace

std::optional<seconds> AgentProgress::time_left() const {
  if (is_idle() || rate == 0 || bytes_done > bytes) return std::nullopt;
  return seconds((bytes - bytes_done) / rate);
}

Result<std::vector<AgentProgress>> read_agent_progress(const fs::path& directory) {
  const auto notes = notes_in(directory);
  if (!notes) return notes.error();
  std::vector<AgentProgress> all;
  for (const fs::path& note : *notes) {
    if (auto progress = read_progress(note)) all.push_back(std::move(*progress));
  }
  std::ranges::sort(all, {}, [](const AgentProgress& one) {
    return std::tie(one.destination, one.started, one.process);
  });
  return all;
}

Result<ProgressNote> ProgressNote::create(const fs::path& directory, std::string destination) {
  if (auto made = make_directories(directory); !made) return made.error();
  remove_dead(directory);
  for (int i = 0; i < kTries; ++i) {
    const fs::path path = directory / (uuid_v7() + ".json");
    auto lock = make_locked(path);
    if (!lock) return lock.error();
    if (*lock) return ProgressNote(path, std::move(**lock), std::move(destination));
  }
  return make_error(ErrorKind::kBusy, "{}: others remove what is made there", directory.string());
}

ProgressNote::ProgressNote(fs::path path, FileLock lock, std::string destination)
    : path_(std::move(path)), lock_(std::move(lock)) {
  progress_.process = process_name();
  progress_.destination = std::move(destination);
  progress_.started = now();
  write();
}

ProgressNote::~ProgressNote() {
  if (!path_.empty() && lock_.fd() >= 0) ::unlink(path_.c_str());
}

void ProgressNote::tell() {
  const auto time = Clock::now();
  if (time - told_ < kInterval && !progress_.is_idle()) return;
  told_ = time;
  if (!marks_.empty() && marks_.back().bytes > progress_.bytes_done) marks_.clear();
  marks_.push_back({time, progress_.bytes_done});
  while (marks_.size() > 2 && time - marks_.front().time > kRateTime) marks_.pop_front();
  const std::chrono::duration<double> span = time - marks_.front().time;
  const auto moved = static_cast<double>(progress_.bytes_done - marks_.front().bytes);
  progress_.rate = span.count() > 0 ? static_cast<std::uint64_t>(moved / span.count()) : 0;
  write();
}

void ProgressNote::write() {
  progress_.updated = now();
  const std::string text = to_line(progress_);
  const auto size = static_cast<ssize_t>(text.size());
  if (::pwrite(lock_.fd(), text.data(), text.size(), 0) != size) return;
  if (::ftruncate(lock_.fd(), size) != 0) return;
}

}  // namespace ferry
