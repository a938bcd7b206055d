#include "transfer/source/source_opener.h"

#include <algorithm>
#include <cerrno>
#include <vector>

namespace ferry::transfer {

using sftp::Task;

namespace {

constexpr std::size_t kHashBlockBytes = 256 * 1024;

struct ContentChecksums {
  Checksum sha256;
  Checksum registered;  // under the algorithm that was asked for
};

sftp::Task<Result<ContentChecksums>> hash_content(Source& source, std::uint64_t size,
                                                  HashAlgorithm algorithm) {
  Hasher sha256(HashAlgorithm::kSha256);
  std::optional<Hasher> other;
  if (algorithm != HashAlgorithm::kSha256) other.emplace(algorithm);
  std::vector<std::byte> block(kHashBlockBytes);
  for (std::uint64_t offset = 0; offset < size;) {
    const auto wanted =
        static_cast<std::size_t>(std::min<std::uint64_t>(block.size(), size - offset));
    const auto bytes = std::span(block).first(wanted);
    auto filled = co_await source.await(wanted);
    if (filled) filled = source.read(offset, bytes);
    if (!filled) co_return filled.error();
    sha256.update(bytes);
    if (other) other->update(bytes);
    offset += wanted;
  }
  ContentChecksums result{.sha256 = sha256.finish(), .registered = {}};
  result.registered = other ? other->finish() : result.sha256;
  co_return result;
}

/// What it means that RECORD's file could not be opened.
Error not_opened(const Error& error, const LandingRoot* landing,
                 const metastore::FileRecord& record) {
  const bool is_missing = error.os_code == ENOENT || error.os_code == ENOTDIR;
  if (landing == nullptr || !is_missing || !landing->is_elsewhere(record)) return error;
  return source_not_mounted(record.path);
}

Error unknown_landing(const std::string& path) {
  return make_error(ErrorKind::kInvalid, "{}: its landing area is not configured", path);
}

}  // namespace

RemoteReader& SourceOpener::reader(const sftp::Location& location) {
  auto& reader = readers_[&location];
  if (!reader) reader = std::make_unique<RemoteReader>(location, loop_);
  return *reader;
}

Task<Result<std::unique_ptr<Source>>> SourceOpener::open(const LandingRoot* landing,
                                                         std::string path) {
  if (landing == nullptr) co_return unknown_landing(path);
  co_return co_await landing->open(*this, std::move(path));
}

Task<Result<std::unique_ptr<Source>>> SourceOpener::open(const LandingRoot* landing,
                                                         std::string path, FileIdentity expected,
                                                         Range range) {
  if (landing == nullptr) co_return unknown_landing(path);
  co_return co_await landing->open(*this, std::move(path), expected, range);
}

Task<Result<CheckedSource>> check_source(SourceOpener& sources, const LandingRoot* landing,
                                         const metastore::FileRecord& record, FileIdentity& meant) {
  const bool has_sha256 = record.checksum.algorithm == HashAlgorithm::kSha256;
  meant = record.identity.value_or(FileIdentity{});
  const bool is_proven_later = landing != nullptr && !landing->has_inodes();
  if (is_proven_later && record.identity && has_sha256) {
    co_return CheckedSource{*record.identity, record.checksum};
  }
  const auto source = co_await sources.open(landing, record.path);
  if (!source) co_return not_opened(source.error(), landing, record);
  co_return co_await check_content(**source, record, meant);
}

Result<CheckedSource> check_local_content(Source& source, const metastore::FileRecord& record) {
  FileIdentity meant;
  return sftp::result_of(check_content(source, record, meant));
}

Task<Result<CheckedSource>> check_content(Source& source, const metastore::FileRecord& record,
                                          FileIdentity& meant) {
  const bool has_sha256 = record.checksum.algorithm == HashAlgorithm::kSha256;
  const auto identity = co_await source.identity();
  if (!identity) co_return identity.error();
  meant = record.identity.value_or(*identity);
  if (record.identity == *identity && has_sha256) {
    co_return CheckedSource{*identity, record.checksum};
  }
  const auto content = co_await hash_content(source, identity->size, record.checksum.algorithm);
  if (!content) co_return content.error();
  if (content->registered != record.checksum) {
    co_return unlike_the_registry(record.path, content->registered, record.checksum);
  }
  const auto unchanged = co_await source.verify_unchanged();
  if (!unchanged) co_return unchanged.error();
  co_return CheckedSource{*identity, content->sha256};
}

}  // namespace ferry::transfer
