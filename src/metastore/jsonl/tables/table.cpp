#include "metastore/jsonl/tables/table.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>

#include "ferry/base/hash.h"
#include "ferry/base/log.h"
#include "ferry/base/uuid.h"
#include "metastore/jsonl/tables/layout.h"

namespace ferry::metastore {
namespace {

constexpr std::size_t kBlock = 1 << 20;       // when all is read
constexpr std::size_t kSmallBlock = 1 << 15;  // when lines are read one by one
constexpr std::uint64_t kDigested = 4096;     // bytes before a position

Result<void> sync_data(int fd, const std::string& path) {
  if (::fdatasync(fd) != 0) return errno_error(errno, "fdatasync " + path);
  return {};
}

/// As it was when it had SIZE: also by its time, so that nobody has to read it again for nothing.
Result<void> cut_back(int fd, std::uint64_t size, const struct timespec& mtime,
                      const std::string& path) {
  if (::ftruncate(fd, static_cast<off_t>(size)) != 0) return errno_error(errno, "truncate " + path);
  const struct timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT}, mtime};
  [[maybe_unused]] const int restored = ::futimens(fd, times);
  return sync_data(fd, path);
}

struct timespec to_timespec(std::int64_t ns) {
  constexpr std::int64_t kSecond = 1'000'000'000;
  return {.tv_sec = ns / kSecond, .tv_nsec = ns % kSecond};
}

}  // namespace

Table::Table(const Directory& directory, std::string_view name)
    : Table(directory, name, table_file(name)) {}

Table::Table(const Directory& directory, std::string_view name, std::string file)
    : directory_(&directory), name_(name), file_name_(std::move(file)) {}

Result<Table::Fit> Table::compare(const Position& position) {
  block_.clear();
  const auto there = directory_->look(file_name_);
  if (!there) return there.error();
  if (!*there) {
    fd_.reset();
    return position.inode == 0 ? Fit::kSame : Fit::kOther;
  }
  auto now = identity();
  if (now && (now->device != (*there)->st_dev || now->inode != (*there)->st_ino)) fd_.reset();
  if (!fd_) {
    auto fd = directory_->open_file(file_name_, O_RDONLY);
    if (!fd) return fd.error();
    fd_ = std::move(*fd);
    now = identity();
  }
  if (!now) return now.error();
  return fit(position, *now);
}

Result<Table::Fit> Table::fit(const Position& position, const FileIdentity& now) const {
  if (position.inode == 0) return Fit::kGrown;
  const bool is_same_file = now.device == position.device && now.inode == position.inode;
  if (!is_same_file || now.size < position.offset) return Fit::kOther;
  if (now.size == position.size) {
    // Whatever is only appended to does not change without growing.
    return now.mtime_ns == position.mtime_ns ? Fit::kSame : Fit::kOther;
  }
  const auto digest = digest_before(position.offset);
  if (!digest) return digest.error();
  return *digest == position.digest ? Fit::kGrown : Fit::kOther;
}

Result<bool> Table::is_replaced() const {
  const auto there = directory_->look(file_name_);
  if (!there) return there.error();
  if (!*there || !fd_) return static_cast<bool>(*there) != static_cast<bool>(fd_);
  const auto ours = identity();
  if (!ours) return ours.error();
  return (*there)->st_dev != ours->device || (*there)->st_ino != ours->inode;
}

/// Of the file that is open; none has none.
Result<FileIdentity> Table::identity() const {
  if (!fd_) return FileIdentity{};
  const auto status = stat_fd(fd_.get(), directory_->shown(file_name_));
  if (!status) return status.error();
  return identity_of(*status);
}

Result<std::uint64_t> Table::size() const {
  const auto now = identity();
  if (!now) return now.error();
  return now->size;
}

Result<std::string> Table::digest_before(std::uint64_t offset) const {
  std::string bytes(std::min(offset, kDigested), '\0');
  const auto count = pread_full(fd_.get(), std::as_writable_bytes(std::span(bytes)),
                                offset - bytes.size(), directory_->shown(file_name_));
  if (!count) return count.error();
  return sha256_of(std::string_view(bytes).substr(0, *count)).to_string();
}

/// That the lines up to POSITION's offset are those of a file like NOW.
Result<void> Table::note(Position& position, const FileIdentity& now) const {
  auto digest = digest_before(position.offset);
  if (!digest) return digest.error();
  position.device = now.device;
  position.inode = now.inode;
  position.size = now.size;
  position.mtime_ns = now.mtime_ns;
  position.digest = std::move(*digest);
  return {};
}

Result<void> Table::read_block(std::uint64_t offset, std::size_t size) {
  block_.resize(size);
  block_offset_ = offset;
  const auto count = pread_full(fd_.get(), std::as_writable_bytes(std::span(block_)), offset,
                                directory_->shown(file_name_));
  block_.resize(count ? *count : 0);
  return count ? Result<void>() : count.error();
}

Result<void> Table::read(Position& position, const LineReader& reader, std::uint64_t until) {
  if (!fd_) return {};
  // From before the lines were read: what is appended meanwhile is found the next time.
  const auto now = identity();
  if (!now) return now.error();
  const std::uint64_t end = std::min(now->size, until);
  std::uint64_t line_start = position.offset;
  for (std::uint64_t at = line_start; at < end;) {
    if (auto read = read_block(at, std::min<std::uint64_t>(kBlock, end - at)); !read) return read;
    if (block_.empty()) break;
    std::string_view rest = block_;
    for (auto stop = rest.find('\n'); stop != rest.npos; stop = rest.find('\n')) {
      const bool is_too_long = line_start < at;
      ++position.lines;
      reader({.text = is_too_long ? std::string_view() : rest.substr(0, stop),
              .number = position.lines,
              .offset = line_start,
              .is_too_long = is_too_long});
      rest.remove_prefix(stop + 1);
      line_start = at = at + stop + 1;
      position.offset = line_start;
    }
    // A line goes on in a block that begins with it; one that fills such a block is too long.
    if (line_start == at && rest.size() < block_.size()) continue;
    at += rest.size();
  }
  block_.clear();
  return note(position, *now);
}

Result<void> Table::read_all(const LineReader& reader) {
  auto fd = directory_->open_file(file_name_, O_RDONLY);
  if (!fd) return fd.error();
  fd_ = std::move(*fd);
  Position from_the_beginning;
  return read(from_the_beginning, reader);
}

Result<std::string_view> Table::line_at(std::uint64_t offset) {
  const auto line_in_block = [&]() -> std::string_view {
    if (offset < block_offset_ || offset >= block_offset_ + block_.size()) return {};
    const auto rest = std::string_view(block_).substr(offset - block_offset_);
    const auto stop = rest.find('\n');
    return stop == rest.npos ? std::string_view() : rest.substr(0, stop);
  };
  std::string_view line = line_in_block();
  for (std::size_t size = kSmallBlock; line.empty() && fd_ && size <= kMaxLine * 2; size *= 64) {
    if (auto read = read_block(offset, size); !read) return read.error();
    line = line_in_block();
  }
  if (!line.empty()) return line;
  return no_row(offset);
}

Result<void> Table::copy(std::uint64_t from, std::uint64_t until,
                         const std::function<Result<void>(std::string_view bytes)>& writer) {
  while (from < until) {
    if (auto read = read_block(from, std::min<std::uint64_t>(kBlock, until - from)); !read) {
      return read;
    }
    if (block_.empty()) {
      return make_error(ErrorKind::kCorrupt, "{} is shorter than it was",
                        directory_->shown(file_name_));
    }
    from += block_.size();
    if (auto written = writer(block_); !written) return written;
  }
  return {};
}

Result<void> Table::copy_line(std::uint64_t offset,
                              const std::function<Result<void>(std::string_view bytes)>& writer) {
  for (;;) {
    if (auto read = read_block(offset, kBlock); !read) return read;
    if (block_.empty()) return no_row(offset);
    const std::size_t stop = block_.find('\n');
    const bool is_end = stop != std::string::npos;
    auto written = writer(std::string_view(block_).substr(0, is_end ? stop + 1 : stop));
    if (!written || is_end) return written;
    offset += block_.size();
  }
}

Error Table::no_row(std::uint64_t offset) const {
  return make_error(ErrorKind::kCorrupt, "{} has no row at byte {}", directory_->shown(file_name_),
                    offset);
}

Result<bool> Table::mend_tail(const Position& position,
                              const std::function<bool(std::string_view)>& is_whole) {
  const auto now = identity();
  if (!now) return now.error();
  if (now->size <= position.offset) return false;
  const std::uint64_t length = now->size - position.offset;
  if (length <= kMaxLine) {
    if (auto read = read_block(position.offset, length); !read) return read.error();
    if (is_whole(block_)) return end_line(position);
  }
  if (auto cut = cut_off(position, length); !cut) return cut.error();
  return true;
}

Result<bool> Table::end_line(const Position& position) {
  auto fd = directory_->open_file(file_name_, O_WRONLY | O_APPEND);
  if (!fd) return fd.error();
  if (auto written = write_group(fd->get(), "\n"); !written) return written.error();
  log::info("record without line end completed", {{"table", name_}, {"line", position.lines + 1}});
  return true;
}

Result<void> Table::keep_fragment(const Position& position, std::uint64_t size,
                                  const std::string& name) {
  auto copy = directory_->open_file(name, O_WRONLY | O_CREAT | O_EXCL);
  if (!copy) return copy.error();
  auto copied = this->copy(position.offset, position.offset + size, [&](std::string_view bytes) {
    return write_full(copy->get(), as_bytes(bytes), directory_->shown(name));
  });
  if (!copied) return copied;
  if (::fsync(copy->get()) != 0) return errno_error(errno, "fsync " + directory_->shown(name));
  return directory_->sync(std::string(kDamaged));
}

Result<void> Table::cut_off(const Position& position, std::uint64_t size) {
  if (auto made = directory_->make_folder(std::string(kDamaged)); !made) return made;
  const std::string kept = fmt::format("{}/{}.{}.torn", kDamaged, name_, uuid_v7());
  if (auto copied = keep_fragment(position, size, kept); !copied) {
    [[maybe_unused]] const auto removed = directory_->remove(kept);
    return copied;
  }
  auto fd = directory_->open_file(file_name_, O_WRONLY);
  if (!fd) return fd.error();
  auto cut = cut_back(fd->get(), position.offset, to_timespec(position.mtime_ns),
                      directory_->shown(file_name_));
  if (!cut) return cut;
  log::warning("torn record cut off", {{"table", name_},
                                       {"line", position.lines + 1},
                                       {"bytes", size},
                                       {"kept", directory_->shown(kept)}});
  return {};
}

Result<bool> Table::append(Position& position, std::string_view lines, std::uint64_t line_count) {
  const bool is_new = !fd_;
  auto fd = directory_->open_file(file_name_, O_RDWR | O_APPEND | O_CREAT);
  if (!fd) return fd.error();
  if (is_new) {
    if (auto synced = directory_->sync(""); !synced) return synced.error();
  }
  if (auto written = write_group(fd->get(), lines); !written) return written.error();
  // From here on the lines are there, whatever else may fail.
  fd_ = std::move(*fd);
  const auto now = identity();
  if (!now || now->size != position.offset + lines.size()) return false;
  Position after = position;
  after.offset = now->size;
  after.lines += line_count;
  if (!note(after, *now)) return false;
  position = std::move(after);
  return true;
}

Result<void> Table::write_group(int fd, std::string_view lines) {
  const std::string path = directory_->shown(file_name_);
  const auto before = stat_fd(fd, path);
  if (!before) return before.error();
  ssize_t count = 0;
  do {
    count = ::write(fd, lines.data(), lines.size());
  } while (count < 0 && errno == EINTR);
  Result<void> outcome;
  if (count < 0) {
    outcome = errno_error(errno, "write " + path);
  } else if (static_cast<std::size_t>(count) < lines.size()) {
    outcome = make_error(ErrorKind::kIo,
                         "write {}: only {} of {} bytes were taken; is the file system full?", path,
                         count, lines.size());
  } else {
    outcome = sync_data(fd, path);
  }
  if (outcome) return outcome;
  const auto cut = cut_back(fd, static_cast<std::uint64_t>(before->st_size), before->st_mtim, path);
  if (!cut) return outcome.error().with_context(cut.error().message);
  return outcome;
}

}  // namespace ferry::metastore
