#include "transfer/source.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <vector>

namespace ferry::transfer {
namespace {

constexpr std::size_t kHashBlockBytes = 256 * 1024;

Error changed(std::string_view path, std::string_view when) {
  return make_error(ErrorKind::kAbnormal, "{}: the file changed {}", path, when);
}

Error unlike_the_registry(std::string_view path, const Checksum& found, const Checksum& expected) {
  return make_error(ErrorKind::kAbnormal,
                    "{}: its checksum is {}, the registry says {}: the file changed after it was "
                    "registered, or was registered wrongly",
                    path, found.to_string(), expected.to_string());
}

/// The file system that the file was registered on is another than the landing area's, which may be
/// because it is not mounted: then the file has not vanished.
bool may_be_unmounted(int landing_fd, const metastore::FileRecord& record) {
  const auto status = stat_fd(landing_fd, record.path);
  return status && record.identity && record.identity->device != status->st_dev;
}

struct OpenFile {
  UniqueFd fd;
  FileIdentity identity;
};

Result<OpenFile> open_regular(int landing_fd, const std::string& path) {
  auto fd = open_beneath(landing_fd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (!fd) {
    if (fd.error().kind != ErrorKind::kNotFound) return fd.error();
    return Error{ErrorKind::kAbnormal,
                 fmt::format("{}: the file is not in the landing area any more", path),
                 fd.error().os_code};
  }
  const auto status = stat_fd(fd->get(), path);
  if (!status) return status.error();
  if (!S_ISREG(status->st_mode)) {
    return make_error(ErrorKind::kAbnormal, "{}: not a regular file", path);
  }
  return OpenFile{std::move(*fd), identity_of(*status)};
}

Result<FileIdentity> identity_of_fd(int fd, const std::string& path) {
  const auto status = stat_fd(fd, path);
  if (!status) return status.error();
  return identity_of(*status);
}

struct ContentChecksums {
  Checksum sha256;
  Checksum registered;  // under the algorithm that was asked for
};

Result<ContentChecksums> hash_content(int fd, std::uint64_t size, HashAlgorithm algorithm,
                                      const std::string& path) {
  Hasher sha256(HashAlgorithm::kSha256);
  std::optional<Hasher> other;
  if (algorithm != HashAlgorithm::kSha256) other.emplace(algorithm);
  std::vector<std::byte> block(kHashBlockBytes);
  for (std::uint64_t offset = 0; offset < size;) {
    const auto wanted =
        static_cast<std::size_t>(std::min<std::uint64_t>(block.size(), size - offset));
    const auto bytes = std::span(block).first(wanted);
    const auto count = pread_full(fd, bytes, offset, path);
    if (!count) return count.error();
    if (*count != wanted) return changed(path, "while it was hashed: it became shorter");
    sha256.update(bytes);
    if (other) other->update(bytes);
    offset += wanted;
  }
  ContentChecksums result{.sha256 = sha256.finish(), .registered = {}};
  result.registered = other ? other->finish() : result.sha256;
  return result;
}

}  // namespace

Result<CheckedSource> check_source(int landing_fd, const metastore::FileRecord& record) {
  const auto file = open_regular(landing_fd, record.path);
  if (!file) {
    const bool missing = file.error().os_code == ENOENT || file.error().os_code == ENOTDIR;
    if (!missing || !may_be_unmounted(landing_fd, record)) return file.error();
    return make_error(ErrorKind::kNotFound, "{}: not found; is its file system mounted?",
                      record.path);
  }
  const FileIdentity& before = file->identity;
  if (record.identity == before && record.checksum.algorithm == HashAlgorithm::kSha256) {
    return CheckedSource{before, record.checksum};
  }
  const auto content =
      hash_content(file->fd.get(), before.size, record.checksum.algorithm, record.path);
  if (!content) return content.error();
  if (content->registered != record.checksum) {
    return unlike_the_registry(record.path, content->registered, record.checksum);
  }
  const auto after = identity_of_fd(file->fd.get(), record.path);
  if (!after) return after.error();
  if (*after != before) return changed(record.path, "while it was hashed");
  return CheckedSource{before, content->sha256};
}

Result<SourceFile> SourceFile::open(int landing_fd, const std::string& path,
                                    const FileIdentity& expected) {
  auto file = open_regular(landing_fd, path);
  if (!file) return file.error();
  if (file->identity != expected) return changed(path, "before it was sent");
  return SourceFile(std::move(file->fd), path, expected);
}

Result<void> SourceFile::read(std::uint64_t offset, std::span<std::byte> buffer) const {
  const auto count = pread_full(fd_.get(), buffer, offset, path_);
  if (!count) return count.error();
  if (*count != buffer.size()) return changed(path_, "while it was sent: it became shorter");
  return {};
}

void SourceFile::drop_from_cache(std::uint64_t offset, std::uint64_t size) const {
  ::posix_fadvise(fd_.get(), static_cast<off_t>(offset), static_cast<off_t>(size),
                  POSIX_FADV_DONTNEED);
}

Result<void> SourceFile::verify_unchanged() const {
  const auto identity = identity_of_fd(fd_.get(), path_);
  if (!identity) return identity.error();
  if (*identity != expected_) return changed(path_, "while it was sent");
  return {};
}

Result<SourceStream> SourceStream::open(int landing_fd, const std::string& path,
                                        const CheckedSource& expected) {
  auto file = SourceFile::open(landing_fd, path, expected.identity);
  if (!file) return file.error();
  return SourceStream(std::move(*file), path, expected.sha256);
}

Result<void> SourceStream::read(std::uint64_t offset, std::span<std::byte> buffer) {
  if (auto filled = file_.read(offset, buffer); !filled) return filled;
  hasher_.update(buffer);
  return {};
}

Result<void> SourceStream::verify() {
  if (auto unchanged = file_.verify_unchanged(); !unchanged) return unchanged;
  const Checksum sent = hasher_.finish();
  if (sent != expected_) return unlike_the_registry(path_, sent, expected_);
  return {};
}

}  // namespace ferry::transfer
