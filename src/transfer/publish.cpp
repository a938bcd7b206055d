#include "transfer/publish.h"

#include "transfer/remote_path.h"

namespace ferry::transfer {

using sftp::Client;
using sftp::Handle;
using sftp::Task;

namespace {

/// The server's umask decides what is left of these.
constexpr std::uint32_t kPermissions = 0666;

Result<void> check_size(const sftp::Attributes& attributes, const Target& target) {
  if (attributes.size.value_or(target.size) == target.size) return {};
  return make_error(ErrorKind::kFailed,
                    "the server has {} bytes of the part file where {} were written",
                    *attributes.size, target.size);
}

Task<Result<void>> verify_size(Client& client, const Target& target) {
  const auto attributes = co_await client.stat(target.part_path);
  if (!attributes) co_return attributes.error().with_context("look at " + target.part_path);
  co_return check_size(*attributes, target);
}

Result<void> same_checksum(const Checksum& found, const Target& target) {
  if (found == target.sha256) return {};
  return make_error(ErrorKind::kFailed, "the server gives back {} where {} was written",
                    found.to_string(), target.sha256.to_string());
}

Task<Result<void>> verify_content(Client& client, const Target& target) {
  const auto handle = co_await client.open(target.part_path, sftp::kOpenRead, 0);
  if (!handle) co_return handle.error().with_context("read back " + target.part_path);
  Hasher hasher(HashAlgorithm::kSha256);
  const sftp::DataSink hash = [&](std::span<const std::byte> data) { hasher.update(data); };
  const auto read = co_await client.read(*handle, hash);
  const auto closed = co_await client.close(*handle);
  if (!read) co_return read.error().with_context("read back " + target.part_path);
  if (!closed) co_return closed.error().with_context("close the part file");
  co_return same_checksum(hasher.finish(), target);
}

Task<Result<void>> verify_by_command(RemoteChecksums& checksums, const Target& target) {
  const auto found = co_await checksums.of(target.part_path, target.size);
  if (!found) co_return found.error();
  co_return same_checksum(*found, target);
}

/// Whatever VERIFY asks for beside the size.
Task<Result<void>> verify_bytes(Session& session, const Target& target, Verify verify) {
  Result<void> verified;
  if (verify == Verify::kReadback) {
    verified = co_await verify_content(*session.client, target);
  } else if (verify == Verify::kRemoteCommand) {
    verified = co_await verify_by_command(*session.checksums, target);
  }
  co_return verified;
}

bool wants_sync(const Client& client, Fsync fsync) {
  return fsync == Fsync::kWhereOffered && client.offers_fsync();
}

/// What fstat says while the file is still open spares a request that must wait for the others.
Task<Result<void>> fill(Session& session, Handle handle, const Target& target,
                        const Content& content, const TransferOptions& options) {
  Client& client = *session.client;
  const auto attributes = co_await client.write_and_close(std::move(handle), target.size,
                                                          wants_sync(client, options.fsync),
                                                          content.read, content.on_acknowledged);
  if (!attributes) co_return attributes.error().with_context("part file");
  if (options.verify == Verify::kNone) co_return Result<void>();
  Result<void> verified;
  if (attributes->size) {
    verified = check_size(*attributes, target);
  } else {
    verified = co_await verify_size(client, target);
  }
  if (verified) verified = co_await verify_bytes(session, target, options.verify);
  co_return verified;
}

}  // namespace

Task<Result<Handle>> open_part(Client& client, const Target& target, Existing existing) {
  const std::uint32_t flags =
      sftp::kOpenWrite | sftp::kOpenCreate |
      (existing == Existing::kTruncate ? std::uint32_t{sftp::kOpenTruncate} : 0);
  const auto handle = co_await client.open(target.part_path, flags, kPermissions);
  if (!handle) co_return handle.error().with_context("create " + target.part_path);
  co_return handle;
}

Task<Result<void>> sync_part(Client& client, const Handle& handle, Fsync fsync) {
  if (!wants_sync(client, fsync)) co_return Result<void>();
  const auto synced = co_await client.fsync(handle);
  if (!synced) co_return synced.error().with_context("fsync of the part file");
  co_return synced;
}

Task<Result<void>> rename_part(Client& client, const Target& target) {
  const auto renamed = co_await client.replace(target.part_path, target.final_path);
  if (!renamed) co_return renamed.error().with_context("rename to " + target.final_path);
  co_return renamed;
}

Task<Result<void>> verify_part(Session& session, const Target& target, Verify verify) {
  if (verify == Verify::kNone) co_return Result<void>();
  auto verified = co_await verify_size(*session.client, target);
  if (verified) verified = co_await verify_bytes(session, target, verify);
  co_return verified;
}

Task<Result<bool>> was_renamed(Client& client, const Target& target) {
  const auto part = co_await client.stat(target.part_path);
  if (part) co_return false;
  if (part.error().kind != ErrorKind::kNotFound) co_return part.error();
  const auto final_file = co_await client.stat(target.final_path);
  if (final_file) co_return final_file->size.value_or(target.size) == target.size;
  // A consumer may have taken it at once; without the part file that is what happened.
  if (final_file.error().kind == ErrorKind::kNotFound) co_return true;
  co_return final_file.error();
}

Task<Error> explain(Client& client, Error error, const Target& target) {
  if (error.kind != ErrorKind::kFailed || !client.offers_statvfs()) co_return error;
  const auto space = co_await client.statvfs(remote_parent(target.final_path));
  if (!space || space->available_bytes >= target.size) co_return error;
  co_return make_error(ErrorKind::kRemoteFull,
                       "{}: the destination has {} bytes left, the file needs {}", error.message,
                       space->available_bytes, target.size);
}

Task<Result<void>> upload_part(Session& session, const Target& target, const Content& content,
                               const TransferOptions& options) {
  Client& client = *session.client;
  auto handle = co_await open_part(client, target, Existing::kTruncate);
  if (!handle) {
    const Error error = co_await explain(client, handle.error(), target);
    co_return error;
  }
  auto outcome = co_await fill(session, std::move(*handle), target, content, options);
  if (outcome) co_return outcome;
  // Asked before the part file goes: removing it makes room.
  const Error error = co_await explain(client, outcome.error(), target);
  [[maybe_unused]] const auto removed = co_await client.remove(target.part_path);
  co_return error;
}

}  // namespace ferry::transfer
