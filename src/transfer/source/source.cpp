#include "transfer/source/source.h"

#include <fcntl.h>

#include <algorithm>
#include <vector>

#include "ferry/base/directory.h"
#include "ferry/base/writers.h"

namespace ferry::transfer {
namespace {

class LocalSource final : public Source {
 public:
  LocalSource(UniqueFd fd, std::string path, const FileIdentity& identity)
      : fd_(std::move(fd)), path_(std::move(path)), identity_(identity) {}

  Result<void> read(std::uint64_t offset, std::span<std::byte> buffer) override {
    const auto count = pread_full(fd_.get(), buffer, offset, path_);
    if (!count) return count.error();
    if (*count != buffer.size()) {
      return source_changed(path_, "while it was read: it became shorter");
    }
    return {};
  }

  sftp::Task<Result<FileIdentity>> identity() override { co_return identity_; }

  sftp::Task<Result<std::optional<std::uint32_t>>> permissions() override {
    const auto status = stat_fd(fd_.get(), path_);
    if (!status) co_return status.error();
    co_return std::optional<std::uint32_t>(status->st_mode & kPermissionBits);
  }

  sftp::Task<Result<void>> verify_unchanged() override { co_return verify_unchanged_if_local(); }

  Result<void> verify_unchanged_if_local() override {
    const auto status = stat_fd(fd_.get(), path_);
    if (!status) return status.error();
    if (identity_of(*status) != identity_) return source_changed(path_, "while it was read");
    return {};
  }

  bool is_vouched_for() const override { return writers_of(fd_.get()) == Writers::kNone; }

  int fd() const override { return fd_.get(); }

  void drop_from_cache(std::uint64_t offset, std::uint64_t size) override {
    ::posix_fadvise(fd_.get(), static_cast<off_t>(offset), static_cast<off_t>(size),
                    POSIX_FADV_DONTNEED);
  }

 private:
  UniqueFd fd_;
  std::string path_;
  FileIdentity identity_;
};

}  // namespace

sftp::Task<Result<void>> Source::await(std::size_t) {
  co_return Result<void>();
}

Error source_changed(std::string_view path, std::string_view when) {
  return make_error(ErrorKind::kAbnormal, "{}: the file changed {}", path, when);
}

Error source_vanished(std::string_view path, int os_code) {
  return Error{ErrorKind::kAbnormal,
               fmt::format("{}: the file is not in the landing area any more", path), os_code};
}

Error source_not_mounted(std::string_view path) {
  return make_error(ErrorKind::kNotFound, "{}: not found; is its file system mounted?", path);
}

Error area_is_empty(std::string_view area) {
  return make_error(ErrorKind::kNotFound,
                    "landing area {} is empty, and files are registered there: is its file system "
                    "mounted? If they were removed, 'ferry watch' notes that",
                    area);
}

Error unlike_the_registry(std::string_view path, const Checksum& found, const Checksum& expected) {
  return make_error(ErrorKind::kAbnormal,
                    "{}: its checksum is {}, the registry says {}: the file changed after it was "
                    "registered, or was registered wrongly",
                    path, found.to_string(), expected.to_string());
}

Result<std::unique_ptr<Source>> open_local_source(int landing_fd, const std::string& path) {
  auto fd = open_beneath(landing_fd, path, O_RDONLY);
  if (!fd) {
    if (fd.error().kind != ErrorKind::kNotFound) return fd.error();
    return source_vanished(path, fd.error().os_code);
  }
  const auto status = stat_fd(fd->get(), path);
  if (!status) return status.error();
  if (!S_ISREG(status->st_mode)) {
    return make_error(ErrorKind::kAbnormal, "{}: not a regular file", path);
  }
  return std::make_unique<LocalSource>(std::move(*fd), path, identity_of(*status));
}

Result<void> SourceStream::read(std::uint64_t offset, std::span<std::byte> buffer) {
  if (auto filled = source_->read(offset, buffer); !filled) return filled;
  hasher_.update(buffer);
  return {};
}

sftp::Task<Result<void>> SourceStream::verify() {
  if (auto unchanged = source_->verify_unchanged_if_local(); !unchanged) co_return unchanged;
  const Checksum sent = hasher_.finish();
  if (sent == expected_) co_return Result<void>();
  const auto unchanged = co_await source_->verify_unchanged();
  if (!unchanged) co_return unchanged;
  co_return unlike_the_registry(path_, sent, expected_);
}

}  // namespace ferry::transfer
