#include "transfer/verify/remote_digest.h"

#include <span>

#include "ferry/sftp/protocol.h"

namespace ferry::transfer {

sftp::Task<Result<Checksum>> read_checksum(sftp::Client& client, std::string path,
                                           std::uint64_t at_most) {
  const auto handle = co_await client.open(path, sftp::kOpenRead, 0);
  if (!handle) co_return handle.error().with_context("read back " + path);
  Hasher hasher(HashAlgorithm::kSha256);
  const sftp::DataSink hash = [&](std::span<const std::byte> data) { hasher.update(data); };
  const auto read = co_await client.read(*handle, at_most, hash);
  const auto closed = co_await client.close(*handle);
  if (!read) co_return read.error().with_context("read back " + path);
  if (!closed) co_return closed.error().with_context("close " + path);
  co_return hasher.finish();
}

}  // namespace ferry::transfer
