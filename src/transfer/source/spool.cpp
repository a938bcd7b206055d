#include "transfer/source/spool.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <boost/filesystem/directory.hpp>
#include <boost/filesystem/operations.hpp>
#include <vector>

#include "ferry/base/directory.h"
#include "ferry/base/uuid.h"
#include "transfer/source/source_opener.h"
#include "transfer/transform/transform.h"

namespace ferry::transfer {
namespace {

constexpr std::size_t kKeyLength = 32;
constexpr std::string_view kUnfinished = ".unfinished";

struct Listed {
  std::string name;
  std::uint64_t size = 0;
  std::int64_t mtime_ns = 0;

  bool is_unfinished() const { return name.ends_with(kUnfinished); }
  std::string_view key() const { return std::string_view(name).substr(0, kKeyLength); }
};

std::vector<Listed> list(const fs::path& directory) {
  std::vector<Listed> entries;
  boost::system::error_code error;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    struct stat status{};
    if (::stat(entry->path().c_str(), &status) != 0 || !S_ISREG(status.st_mode)) continue;
    const FileIdentity identity = identity_of(status);
    entries.push_back({entry->path().filename().string(), identity.size, identity.mtime_ns});
  }
  return entries;
}

std::uint64_t bytes_in(const fs::path& directory) {
  std::uint64_t used = 0;
  for (const Listed& entry : list(directory)) used += entry.size;
  return used;
}

}  // namespace

std::string spool_key(const metastore::FileRecord& file, const Route& route) {
  return sha256_of(fmt::format("{}\n{}\n{}\n{}", file.id, file.checksum.to_string(), file.path,
                               fingerprint(route.transforms)))
      .to_hex()
      .substr(0, kKeyLength);
}

Result<std::unique_ptr<Spool>> Spool::open(const fs::path& directory, std::uint64_t limit_bytes) {
  auto fd = make_private_directory(directory);
  if (!fd) return fd.error().with_context("spool");
  std::unique_ptr<Spool> spool(new Spool(directory, std::move(*fd), limit_bytes));
  spool->remove_stale();
  spool->used_bytes_ = bytes_in(directory);
  return spool;
}

void Spool::remove_stale() const {
  for (const Listed& entry : list(directory_)) {
    if (!entry.is_unfinished()) continue;
    const auto is_written = FileLock::is_held(directory_ / entry.name);
    if (is_written && !*is_written) remove(entry.name);
  }
}

Spool::Making::Making(Spool& spool, std::string key) : spool_(spool), key_(std::move(key)) {
  std::unique_lock lock(spool_.mutex_);
  spool_.made_.wait(lock, [this] { return !spool_.making_.contains(key_); });
  spool_.making_.insert(key_);
}

Spool::Making::~Making() {
  {
    const std::scoped_lock lock(spool_.mutex_);
    spool_.making_.erase(key_);
  }
  spool_.made_.notify_all();
}

std::optional<SpoolEntry> Spool::find_and_hold(const std::string& key) {
  for (const Listed& entry : list(directory_)) {
    if (entry.is_unfinished() || entry.key() != key) continue;
    const auto checksum = Checksum::parse(std::string_view(entry.name).substr(kKeyLength + 1));
    if (!checksum) continue;
    hold(entry.name);
    metastore::FileRecord expected;
    expected.path = entry.name;
    expected.checksum = *checksum;
    const auto source = open_local_source(fd(), entry.name);
    const auto content = source ? check_local_content(**source, expected) : source.error();
    if (content) return SpoolEntry{entry.name, *content};
    release(entry.name, true);
  }
  return std::nullopt;
}

void Spool::hold(const std::string& name) {
  const std::scoped_lock lock(mutex_);
  ++held_[name];
}

void Spool::release(const std::string& name, bool is_done) {
  const std::scoped_lock lock(mutex_);
  const auto held = held_.find(name);
  if (held == held_.end()) return;
  if (--held->second == 0) held_.erase(held);
  if (is_done && !held_.contains(name)) remove(name);
}

bool Spool::holds_any() const {
  const std::scoped_lock lock(mutex_);
  return !held_.empty();
}

void Spool::remove(const std::string& name) const {
  ::unlinkat(fd(), name.c_str(), 0);
}

bool Spool::is_empty() const {
  boost::system::error_code error;
  return fs::is_empty(directory_, error);
}

void Spool::keep_only(const std::set<std::string, std::less<>>& keys) {
  const std::scoped_lock lock(mutex_);
  for (const Listed& entry : list(directory_)) {
    if (entry.is_unfinished() || keys.contains(entry.key()) || held_.contains(entry.name)) continue;
    remove(entry.name);
  }
}

bool Spool::make_room(std::uint64_t bytes) {
  const std::scoped_lock lock(mutex_);
  used_bytes_ += bytes;
  if (used_bytes_ <= limit_bytes_) return true;
  std::vector<Listed> entries = list(directory_);
  used_bytes_ = bytes;
  for (const Listed& entry : entries) used_bytes_ += entry.size;
  std::ranges::sort(entries, {}, &Listed::mtime_ns);
  for (const Listed& entry : entries) {
    if (used_bytes_ <= limit_bytes_) return true;
    if (entry.is_unfinished() || held_.contains(entry.name)) continue;
    remove(entry.name);
    used_bytes_ -= entry.size;
  }
  if (used_bytes_ <= limit_bytes_) return true;
  used_bytes_ -= bytes;
  return false;
}

Result<SpoolWriter> SpoolWriter::begin(const Spool& spool, const std::string& key) {
  fs::path path = spool.directory() / fmt::format("{}.{}{}", key, uuid_v7(), kUnfinished);
  auto lock = FileLock::try_acquire(path);
  if (!lock) return lock.error().with_context("spool");
  if (!*lock) return make_error(ErrorKind::kBusy, "spool: {} is taken", path.string());
  auto fd = open_file(path, O_WRONLY);
  if (!fd) return fd.error().with_context("spool");
  return SpoolWriter(spool, key, std::move(path), std::move(**lock), std::move(*fd));
}

SpoolWriter::~SpoolWriter() {
  if (!path_.empty()) ::unlink(path_.c_str());
}

Result<void> SpoolWriter::write(std::span<const std::byte> data) {
  hasher_.update(data);
  return write_full(fd_.get(), data, path_);
}

Result<SpoolEntry> SpoolWriter::commit() {
  SpoolEntry entry;
  entry.content.sha256 = hasher_.finish();
  entry.name = fmt::format("{}.{}", key_, entry.content.sha256.to_hex());
  const int directory = spool_->root().fd();
  // Never over an entry of the same content: others may be sending it.
  auto named = rename_new(directory, path_.filename().string(), directory, entry.name);
  if (named) path_.clear();
  if (!named && named.error().os_code != EEXIST) return named.error().with_context("spool");
  const auto status = stat_at(directory, entry.name);
  if (!status) return status.error().with_context("spool");
  entry.content.identity = identity_of(*status);
  return entry;
}

}  // namespace ferry::transfer
