#include "transfer/source_opener.h"

#include <algorithm>
#include <cerrno>
#include <vector>

namespace ferry::transfer {
namespace {

constexpr std::size_t kHashBlockBytes = 256 * 1024;

struct ContentChecksums {
  Checksum sha256;
  Checksum registered;  // under the algorithm that was asked for
};

Result<ContentChecksums> hash_content(Source& source, std::uint64_t size, HashAlgorithm algorithm) {
  Hasher sha256(HashAlgorithm::kSha256);
  std::optional<Hasher> other;
  if (algorithm != HashAlgorithm::kSha256) other.emplace(algorithm);
  std::vector<std::byte> block(kHashBlockBytes);
  for (std::uint64_t offset = 0; offset < size;) {
    const auto wanted =
        static_cast<std::size_t>(std::min<std::uint64_t>(block.size(), size - offset));
    const auto bytes = std::span(block).first(wanted);
    if (auto filled = source.read(offset, bytes); !filled) return filled.error();
    sha256.update(bytes);
    if (other) other->update(bytes);
    offset += wanted;
  }
  ContentChecksums result{.sha256 = sha256.finish(), .registered = {}};
  result.registered = other ? other->finish() : result.sha256;
  return result;
}

/// The file system that the file was registered on is another than the landing area's, which may be
/// because it is not mounted: then the file has not vanished.
bool may_be_unmounted(int landing_fd, const metastore::FileRecord& record) {
  const auto status = stat_fd(landing_fd, record.path);
  return status && record.identity && record.identity->device != status->st_dev;
}

/// What it means that RECORD's file could not be opened.
Error not_opened(const Error& error, const LandingRoot* landing,
                 const metastore::FileRecord& record) {
  const bool is_missing = error.os_code == ENOENT || error.os_code == ENOTDIR;
  if (landing == nullptr || landing->is_remote() || !is_missing) return error;
  if (!may_be_unmounted(landing->directory.get(), record)) return error;
  return make_error(ErrorKind::kNotFound, "{}: not found; is its file system mounted?",
                    record.path);
}

Error unknown_landing(const std::string& path) {
  return make_error(ErrorKind::kInvalid, "{}: its landing area is not configured", path);
}

}  // namespace

RemoteReader& SourceOpener::reader(const LandingRoot& landing) {
  auto& reader = readers_[landing.location];
  if (!reader) reader = std::make_unique<RemoteReader>(*landing.location, stall_timeout_, stop_);
  return *reader;
}

Result<std::unique_ptr<Source>> SourceOpener::open(const LandingRoot* landing,
                                                   const std::string& path) {
  if (landing == nullptr) return unknown_landing(path);
  if (landing->is_remote()) return reader(*landing).open(path, std::nullopt, {});
  return open_local_source(landing->directory.get(), path);
}

Result<std::unique_ptr<Source>> SourceOpener::open(const LandingRoot* landing,
                                                   const std::string& path,
                                                   const FileIdentity& expected, Range range) {
  if (landing == nullptr) return unknown_landing(path);
  if (landing->is_remote()) return reader(*landing).open(path, expected, range);
  auto source = open_local_source(landing->directory.get(), path);
  if (!source) return source;
  const auto identity = (*source)->identity();
  if (!identity) return identity.error();
  if (*identity != expected) return source_changed(path, "before it was sent");
  return source;
}

Result<void> SourceOpener::reach(const LandingRoot& landing) {
  return reader(landing).reach();
}

Result<CheckedSource> check_source(SourceOpener& sources, const LandingRoot* landing,
                                   const metastore::FileRecord& record, FileIdentity& meant) {
  const bool has_sha256 = record.checksum.algorithm == HashAlgorithm::kSha256;
  meant = record.identity.value_or(FileIdentity{});
  if (landing != nullptr && landing->is_remote() && record.identity && has_sha256) {
    return CheckedSource{*record.identity, record.checksum};
  }
  const auto source = sources.open(landing, record.path);
  if (!source) return not_opened(source.error(), landing, record);
  return check_content(**source, record, meant);
}

Result<CheckedSource> check_content(Source& source, const metastore::FileRecord& record,
                                    FileIdentity& meant) {
  const bool has_sha256 = record.checksum.algorithm == HashAlgorithm::kSha256;
  const auto identity = source.identity();
  if (!identity) return identity.error();
  meant = record.identity.value_or(*identity);
  if (record.identity == *identity && has_sha256) return CheckedSource{*identity, record.checksum};
  const auto content = hash_content(source, identity->size, record.checksum.algorithm);
  if (!content) return content.error();
  if (content->registered != record.checksum) {
    return unlike_the_registry(record.path, content->registered, record.checksum);
  }
  if (auto unchanged = source.verify_unchanged(); !unchanged) return unchanged.error();
  return CheckedSource{*identity, content->sha256};
}

}  // namespace ferry::transfer
