#include "transfer/deliver/many_handles.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/filesystem/directory.hpp>
#include <chrono>
#include <span>

#include "ferry/base/directory.h"
#include "ferry/base/hash.h"
#include "ferry/base/json.h"
#include "ferry/base/lock.h"
#include "ferry/base/log.h"
#include "ferry/base/uuid.h"
#include "transfer/deliver/removal.h"
#include "transfer/naming/remote_path.h"

namespace ferry::transfer {
namespace {

using sftp::Client;
using sftp::Handle;
using sftp::Task;

constexpr std::uint64_t kPieceBytes = 32 * 1024;
constexpr std::uint64_t kPieces = 5;
constexpr std::uint32_t kPermissions = 0600;
/// What the file is called that a server is tried with.
constexpr std::string_view kTrialPrefix = ".ferry-";
constexpr std::string_view kTrialSuffix = ".part";
/// Of notes of such files that may be there.
constexpr std::string_view kLeftSuffix = ".left";

std::byte byte_at(std::uint64_t offset) {
  return static_cast<std::byte>(1 + offset / kPieceBytes);
}

Task<Result<void>> write_piece(Client& client, Handle handle, std::uint64_t piece) {
  const sftp::ByteSource bytes{
      .read = [](std::uint64_t offset, std::span<std::byte> buffer) -> Result<void> {
        std::ranges::fill(buffer, byte_at(offset));
        return {};
      }};
  const sftp::OnAcknowledged ignore = [](std::uint64_t, std::size_t) {};
  const std::uint64_t begin = piece * kPieceBytes;
  co_return co_await client.write(handle, begin, begin + kPieceBytes, bytes, ignore);
}

Task<void> write_piece_to(Client& client, Handle handle, std::uint64_t piece,
                          Result<void>& outcome) {
  const auto written = co_await write_piece(client, std::move(handle), piece);
  if (!written) outcome = written;
}

/// Piece 1 comes before piece 0, and all three without a pause, as deliveries do.
Task<Result<void>> write_through_both(Client& client, Handle first, Handle second) {
  Result<void> outcome;
  sftp::TaskGroup writing(client.loop());
  writing.spawn(write_piece_to(client, second, 1, outcome));
  writing.spawn(write_piece_to(client, first, 0, outcome));
  writing.spawn(write_piece_to(client, second, 2, outcome));
  co_await writing;
  co_return outcome;
}

/// Pieces 0 to 2 while both handles are open, 3 after the first is closed.
Task<Result<void>> write_in_turn(Client& client, Handle first, std::string path) {
  const auto second = co_await client.open_beside(path, sftp::kOpenWrite, kPermissions);
  if (!second) {
    [[maybe_unused]] const auto closed = co_await client.close(first);
    co_return second.error();
  }
  auto outcome = co_await write_through_both(client, first, *second);
  const auto first_closed = co_await client.close(first);
  if (outcome) outcome = co_await write_piece(client, *second, 3);
  const auto second_closed = co_await client.close(*second);
  if (outcome) outcome = first_closed;
  if (outcome) outcome = second_closed;
  co_return outcome;
}

Task<Result<void>> write_afterwards(Client& client, std::string path) {
  const auto handle = co_await client.open(path, sftp::kOpenWrite, kPermissions);
  if (!handle) co_return handle.error();
  const auto written = co_await write_piece(client, *handle, kPieces - 1);
  const auto closed = co_await client.close(*handle);
  co_return written ? closed : written;
}

Task<Result<bool>> has_all(Client& client, std::string path) {
  const auto handle = co_await client.open(path, sftp::kOpenRead, 0);
  if (!handle) co_return handle.error();
  std::uint64_t size = 0;
  bool is_right = true;
  const sftp::DataSink compare = [&](std::span<const std::byte> data) {
    for (const std::byte byte : data) is_right = is_right && byte == byte_at(size++);
  };
  const auto read = co_await client.read(*handle, kPieces * kPieceBytes, compare);
  const auto closed = co_await client.close(*handle);
  if (!read) co_return read.error();
  if (!closed) co_return closed.error();
  co_return is_right&& size == kPieces* kPieceBytes;
}

/// A request of a connection that was lost is not done after this.
constexpr std::chrono::hours kLongestDelay{1};

bool is_old(const fs::path& note) {
  const auto fd = open_file(note, O_RDONLY);
  if (!fd) return false;
  const auto status = stat_fd(fd->get(), note);
  return status && std::chrono::system_clock::from_time_t(status->st_mtime) + kLongestDelay <
                       std::chrono::system_clock::now();
}

/// NOTE, which the caller has locked, tells of something that may be left, from now on.
void leave(const fs::path& note) {
  fs::path left = note;
  left.replace_extension(fs::path("." + uuid_v7() + std::string(kLeftSuffix)));
  ::rename(note.c_str(), left.c_str());
}

/// In place: who has the file locked keeps it so.
Result<void> replace_file_content(const fs::path& file, std::string_view text) {
  auto fd = open_file(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (!fd) return fd.error();
  return write_full(fd->get(), as_bytes(text), file);
}

/// The lock of NOTE; nothing if another has it, or renamed it meanwhile.
Result<std::optional<FileLock>> lock_note(const fs::path& note) {
  auto lock = FileLock::try_acquire(note);
  if (!lock || !*lock) return lock;
  const auto ours = stat_fd((*lock)->fd(), note);
  if (!ours) return ours.error();
  struct stat there{};
  const bool is_there = ::stat(note.c_str(), &there) == 0 && there.st_ino == ours->st_ino &&
                        there.st_dev == ours->st_dev;
  if (!is_there) lock->reset();
  return lock;
}

Result<void> note_durably(const FileLock& lock, const fs::path& note, std::string_view text) {
  if (auto written = write_full(lock.fd(), as_bytes(text), note); !written) return written;
  if (auto synced = sync(lock.fd(), note); !synced) return synced;
  return sync_directory(note.parent_path());
}

/// The same bytes through one handle, in order: whether the server takes a file at all.
Task<bool> takes_one_handle(Client& client, std::string path) {
  const auto handle =
      co_await client.open(path, sftp::kOpenWrite | sftp::kOpenCreate, kPermissions);
  if (!handle) co_return false;
  Result<void> outcome;
  for (std::uint64_t piece = 0; outcome && piece < kPieces; ++piece) {
    outcome = co_await write_piece(client, *handle, piece);
  }
  const auto closed = co_await client.close(*handle);
  bool is_taken = outcome && closed;
  if (is_taken) {
    const auto read = co_await has_all(client, path);
    is_taken = read && *read;
  }
  [[maybe_unused]] const auto removed = co_await remove_leftover(client, std::move(path));
  co_return is_taken;
}

}  // namespace

Task<Result<bool>> try_many_handles(Client& client, std::string path) {
  const auto first = co_await client.open(path, sftp::kOpenWrite | sftp::kOpenCreate, kPermissions);
  if (!first) co_return first.error().with_context("create " + path);
  auto outcome = co_await write_in_turn(client, *first, path);
  if (outcome) outcome = co_await write_afterwards(client, path);
  Result<bool> verdict = false;
  if (outcome) verdict = co_await has_all(client, path);
  [[maybe_unused]] const auto removed = co_await remove_leftover(client, path);
  if (const auto& lost = client.error()) co_return *lost;
  if (outcome && verdict) co_return verdict;
  // It may be full, say, which is nothing that it does to handles.
  const Error reason = outcome ? verdict.error() : outcome.error();
  const bool is_taken = co_await takes_one_handle(client, std::move(path));
  if (const auto& lost = client.error()) co_return *lost;
  if (!is_taken) co_return reason;
  co_return false;
}

fs::path KnownServers::file_of(const std::string& destination) const {
  constexpr std::size_t kDigits = 32;
  return directory_ / (sha256_of(destination).to_hex().substr(0, kDigits) + ".json");
}

fs::path KnownServers::note_of(const std::string& destination) const {
  fs::path note = file_of(destination);
  return note += ".trying";
}

/// A note of one who died while trying becomes one of what may be left.
void KnownServers::adopt_remains(const std::string& destination) const {
  const fs::path note = note_of(destination);
  if (::access(note.c_str(), F_OK) != 0) return;
  const auto lock = lock_note(note);
  if (lock && *lock) leave(note);
}

std::vector<fs::path> KnownServers::remains_of(const std::string& destination) const {
  adopt_remains(destination);
  const std::string prefix = file_of(destination).stem().string() + ".";
  std::vector<fs::path> found;
  boost::system::error_code code;
  for (fs::directory_iterator entry(directory_, code), end; !code && entry != end;
       entry.increment(code)) {
    const std::string name = entry->path().filename().string();
    if (name.starts_with(prefix) && name.ends_with(kLeftSuffix)) found.push_back(entry->path());
  }
  return found;
}

bool KnownServers::has_remains(const std::string& destination) const {
  return !remains_of(destination).empty();
}

Task<Result<void>> KnownServers::remove_remains(Client& client, std::string destination) const {
  const std::vector<fs::path> remains = remains_of(destination);
  for (const fs::path& note : remains) {
    const auto path = read_file(note);
    if (!path) continue;
    const bool is_whole = path->contains(kTrialPrefix) && path->ends_with(kTrialSuffix);
    Result<void> removed;  // the power failed: nobody knows where it is
    if (is_whole) removed = co_await client.remove(*path);
    if (client.error()) co_return *client.error();
    // Not there: not yet, perhaps. Not removable: not now.
    if (!removed && !is_old(note)) continue;
    ::unlink(note.c_str());
  }
  co_return Result<void>();
}

/// A note says where the file is, in case that we die meanwhile; its lock, that we have not.
Task<Result<bool>> KnownServers::try_now(Client& client, std::string destination,
                                         std::string remote_directory) const {
  const fs::path note = note_of(destination);
  if (auto made = make_directories(directory_); !made) co_return made.error();
  const auto lock = lock_note(note);
  if (!lock) co_return lock.error();
  if (!*lock) co_return make_error(ErrorKind::kBusy, "another agent is trying it");
  const std::string path =
      join_remote(remote_directory, fmt::format("{}{}{}", kTrialPrefix, uuid_v7(), kTrialSuffix));
  if (auto noted = note_durably(**lock, note, path); !noted) co_return noted.error();
  const auto found = co_await try_many_handles(client, path);
  // The server may have refused to remove it.
  const auto there = co_await client.lstat(path);
  if (there || client.error()) {
    leave(note);
  } else {
    ::unlink(note.c_str());
  }
  co_return found;
}

Task<Result<bool>> KnownServers::takes_many_handles(Client& client, std::string destination,
                                                    std::string remote_directory) const {
  const fs::path file = file_of(destination);
  const std::string server = client.server_description();
  const auto tidied = co_await remove_remains(client, destination);
  if (!tidied) co_return tidied.error();
  if (const auto text = read_file(file)) {
    const Json known = Json::parse(text->begin(), text->end(), nullptr, false);
    if (known.is_object() && known.value("server", Json()) == server &&
        known.value("many_handles", Json()).is_boolean()) {
      co_return known["many_handles"].get<bool>();
    }
  }
  const auto found = co_await try_now(client, destination, std::move(remote_directory));
  if (client.error()) co_return *client.error();
  if (!found) co_return found.error().with_context("try what the server does with a file");
  if (!*found) {
    log::info("one connection for each file",
              {{"destination", destination},
               {"reason",
                "its server does not keep what is written to a file through several "
                "handles: large files are neither spread over connections nor resumed"}});
  }
  const Json known{{"destination", destination}, {"server", server}, {"many_handles", *found}};
  // In its place: one that was torn is not JSON, and the server is tried anew.
  if (auto kept = replace_file_content(file, to_text(known) + "\n"); !kept) {
    log::warning("not remembered", {{"reason", kept.error().message}});
  }
  co_return found;
}

/// Who asks the server; for as long as that lasts, whatever ends it.
class ManyHandles::Asking {
 public:
  explicit Asking(ManyHandles& all) : all_(all) {}
  Asking(const Asking&) = delete;
  Asking& operator=(const Asking&) = delete;
  ~Asking() {
    const std::scoped_lock lock(all_.mutex_);
    all_.is_asking_ = false;
    all_.asked_.notify_all();
  }

 private:
  ManyHandles& all_;
};

Task<Result<bool>> ManyHandles::ask(Client& client, sftp::EventLoop& loop,
                                    std::string remote_directory) {
  for (;;) {
    {
      const std::scoped_lock lock(mutex_);
      if (known_) co_return *known_;
      if (!std::exchange(is_asking_, true)) break;
    }
    auto waiting = loop.in_thread([this] {
      std::unique_lock lock(mutex_);
      asked_.wait(lock, [this] { return !is_asking_; });
      return true;
    });
    co_await waiting;
  }
  const Asking asking(*this);
  const auto found =
      co_await servers_.takes_many_handles(client, destination_, std::move(remote_directory));
  const std::scoped_lock lock(mutex_);
  if (found) known_ = *found;
  co_return found;
}

}  // namespace ferry::transfer
