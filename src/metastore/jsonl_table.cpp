#include "metastore/jsonl_table.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <limits>

#include "ferry/base/log.h"
#include "ferry/base/time.h"
#include "ferry/base/uuid.h"

namespace ferry::metastore {
namespace {

constexpr std::size_t kBlockSize = 1 << 20;

std::string action(std::string_view verb, const fs::path& path) {
  return fmt::format("{} {}", verb, path.string());
}

Result<void> sync_data(int fd, const fs::path& path) {
  if (::fdatasync(fd) != 0) return errno_error(errno, action("fdatasync", path));
  return {};
}

Result<void> truncate_to(int fd, std::uint64_t size, const fs::path& path) {
  if (::ftruncate(fd, static_cast<off_t>(size)) != 0) {
    return errno_error(errno, action("truncate", path));
  }
  return sync_data(fd, path);
}

}  // namespace

JsonlTable::JsonlTable(std::string name, fs::path path, fs::path damaged)
    : name_(std::move(name)), path_(std::move(path)), damaged_(std::move(damaged)) {}

void JsonlTable::rewind() {
  offset_ = 0;
  lines_ = 0;
}

Result<std::uint64_t> JsonlTable::file_size() const {
  const auto status = stat_fd(fd_.get(), path_);
  if (!status) return status.error();
  return static_cast<std::uint64_t>(status->st_size);
}

/// Whether the file that we have open still has what we read from it, as far as can be told
/// without reading it again.
Result<bool> JsonlTable::is_continued(std::uint64_t size) const {
  if (size < offset_) return false;
  if (offset_ == 0) return true;
  std::byte last{};
  const auto count = pread_full(fd_.get(), std::span(&last, 1), offset_ - 1, path_);
  if (!count) return count.error();
  return *count == 1 && last == std::byte{'\n'};
}

Result<bool> JsonlTable::follow() {
  struct stat status{};
  if (::stat(path_.c_str(), &status) != 0) {
    if (errno != ENOENT) return errno_error(errno, action("stat", path_));
    const bool had_file = static_cast<bool>(fd_);
    fd_.reset();
    rewind();
    return had_file;
  }
  const FileIdentity found = identity_of(status);
  if (fd_ && found.device == file_.device && found.inode == file_.inode) {
    if (found == file_) return false;
    const auto continued = is_continued(found.size);
    if (!continued) return continued.error();
    file_ = found;
    if (!*continued) rewind();
    return !*continued;
  }
  auto fd = open_file(path_, O_RDONLY);
  if (!fd) return fd.error();
  const auto opened = stat_fd(fd->get(), path_);
  if (!opened) return opened.error();
  const bool replaced = static_cast<bool>(fd_);
  fd_ = std::move(*fd);
  file_ = identity_of(*opened);
  rewind();
  return replaced;
}

bool JsonlTable::is_replaced() const {
  struct stat status{};
  if (!fd_ || ::stat(path_.c_str(), &status) != 0) return false;
  return status.st_dev != file_.device || status.st_ino != file_.inode;
}

Result<void> JsonlTable::read_new(const LineReader& reader) {
  return read_until(std::numeric_limits<std::uint64_t>::max(), reader);
}

Result<void> JsonlTable::read_until(std::uint64_t offset, const LineReader& reader) {
  if (!fd_) return {};
  const auto size = file_size();
  if (!size) return size.error();
  const std::uint64_t end_of_reading = std::min(*size, offset);
  std::size_t block = kBlockSize;
  while (offset_ < end_of_reading) {
    buffer_.resize(std::min<std::uint64_t>(block, end_of_reading - offset_));
    const auto count =
        pread_full(fd_.get(), std::as_writable_bytes(std::span(buffer_)), offset_, path_);
    if (!count) return count.error();
    std::string_view rest(buffer_.data(), *count);
    bool found_line = false;
    for (auto end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
      offset_ += end + 1;
      found_line = true;
      reader(rest.substr(0, end), ++lines_);
      rest.remove_prefix(end + 1);
    }
    if (found_line) continue;
    if (*count < block) break;
    block *= 2;
  }
  buffer_ = {};
  return {};
}

Result<void> JsonlTable::mend_tail(const std::function<bool(std::string_view)>& is_whole) {
  if (!fd_) return {};
  const auto size = file_size();
  if (!size) return size.error();
  if (*size <= offset_) return {};
  std::string fragment(*size - offset_, '\0');
  const auto count =
      pread_full(fd_.get(), std::as_writable_bytes(std::span(fragment)), offset_, path_);
  if (!count) return count.error();
  fragment.resize(*count);
  if (!is_whole(fragment)) return cut_off(fragment);

  auto fd = open_file(path_, O_WRONLY | O_APPEND);
  if (!fd) return fd.error();
  if (auto written = write_group(fd->get(), "\n"); !written) return written;
  log::info("record without line end completed", {{"table", name_}, {"line", lines_ + 1}});
  return {};
}

Result<void> JsonlTable::cut_off(std::string_view fragment) {
  if (auto made = make_directories(damaged_); !made) return made;
  const fs::path kept = damaged_ / fmt::format("{}.{}.torn", name_, uuid_v7());
  if (auto written = replace_file(kept, fragment); !written) return written;
  auto fd = open_file(path_, O_WRONLY);
  if (!fd) return fd.error();
  if (auto cut = truncate_to(fd->get(), offset_, path_); !cut) return cut;
  log::warning("torn record cut off", {{"table", name_},
                                       {"line", lines_ + 1},
                                       {"bytes", fragment.size()},
                                       {"kept", kept.string()}});
  return {};
}

Result<void> JsonlTable::append(std::string_view lines, std::uint64_t line_count) {
  const bool is_new = !fd_;
  auto fd = open_file(path_, O_RDWR | O_APPEND | O_CREAT);
  if (!fd) return fd.error();
  if (auto written = write_group(fd->get(), lines); !written) return written;
  if (is_new) {
    if (auto synced = sync_directory(path_.parent_path()); !synced) return synced;
    fd_ = std::move(*fd);
  }
  const auto status = stat_fd(fd_.get(), path_);
  if (!status) return status.error();
  file_ = identity_of(*status);
  offset_ += lines.size();
  lines_ += line_count;
  return {};
}

Result<void> JsonlTable::write_group(int fd, std::string_view lines) {
  const auto before = stat_fd(fd, path_);
  if (!before) return before.error();
  ssize_t count = 0;
  do {
    count = ::write(fd, lines.data(), lines.size());
  } while (count < 0 && errno == EINTR);
  Result<void> outcome;
  if (count < 0) {
    outcome = errno_error(errno, action("write", path_));
  } else if (static_cast<std::size_t>(count) < lines.size()) {
    outcome = make_error(ErrorKind::kIo,
                         "write {}: only {} of {} bytes were taken; is the file system full?",
                         path_.string(), count, lines.size());
  } else {
    outcome = sync_data(fd, path_);
  }
  if (outcome) return outcome;
  const auto cut = truncate_to(fd, static_cast<std::uint64_t>(before->st_size), path_);
  if (!cut) return outcome.error().with_context(cut.error().message);
  return outcome;
}

}  // namespace ferry::metastore
