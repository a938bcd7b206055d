#include "transfer/publish.h"

#include "transfer/remote_path.h"

namespace ferry::transfer {
namespace {

using sftp::Client;
using sftp::Handle;
using sftp::Task;

/// The server's umask decides what is left of these.
constexpr std::uint32_t kPermissions = 0666;

Task<Result<void>> verify_size(Client& client, const Handle& handle, std::uint64_t expected) {
  const auto attributes = co_await client.fstat(handle);
  if (!attributes) co_return attributes.error().with_context("look at the part file");
  if (!attributes->size || *attributes->size == expected) co_return Result<void>();
  co_return make_error(ErrorKind::kFailed,
                       "the server has {} bytes of the part file where {} were written",
                       *attributes->size, expected);
}

Task<Result<void>> fill(Client& client, const Handle& handle, const Publication& publication) {
  auto written = co_await client.write(handle, 0, publication.size, publication.read,
                                       publication.on_acknowledged);
  if (!written) co_return written;
  if (publication.fsync == Fsync::kWhereOffered && client.offers_fsync()) {
    const auto synced = co_await client.fsync(handle);
    if (!synced) co_return synced.error().with_context("fsync of the part file");
  }
  co_return co_await verify_size(client, handle, publication.size);
}

/// SSH_FX_FAILURE says nothing; the free space may.
Task<Result<void>> explain(Client& client, Error error, const Publication& publication) {
  if (error.kind == ErrorKind::kFailed && client.offers_statvfs()) {
    const auto space = co_await client.statvfs(remote_parent(publication.final_path));
    if (space && space->available_bytes < publication.size) {
      co_return make_error(ErrorKind::kRemoteFull,
                           "{}: the destination has {} bytes left, the file needs {}",
                           error.message, space->available_bytes, publication.size);
    }
  }
  co_return error;
}

}  // namespace

Task<Result<void>> publish(Client& client, const Publication& publication) {
  const auto handle = co_await client.open(
      publication.part_path, sftp::kOpenWrite | sftp::kOpenCreate | sftp::kOpenTruncate,
      kPermissions);
  if (!handle) {
    const Error error = handle.error().with_context("create " + publication.part_path);
    co_return co_await explain(client, error, publication);
  }
  auto outcome = co_await fill(client, *handle, publication);
  const auto closed = co_await client.close(*handle);
  if (outcome && !closed) outcome = closed.error().with_context("close the part file");
  if (outcome) outcome = publication.verify_source();
  if (outcome) {
    outcome = co_await client.replace(publication.part_path, publication.final_path);
    if (outcome) co_return outcome;
    outcome = outcome.error().with_context("rename to " + publication.final_path);
  }
  // Asked before the part file goes: removing it makes room.
  outcome = co_await explain(client, outcome.error(), publication);
  [[maybe_unused]] const auto removed = co_await client.remove(publication.part_path);
  co_return outcome;
}

}  // namespace ferry::transfer
