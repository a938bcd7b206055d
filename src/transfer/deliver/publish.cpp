#include "transfer/deliver/publish.h"

#include <algorithm>

#include "transfer/deliver/removal.h"
#include "transfer/naming/remote_path.h"
#include "transfer/verify/remote_digest.h"

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
  const auto found = co_await read_checksum(client, target.part_path, target.size);
  if (!found) co_return found.error();
  co_return same_checksum(*found, target);
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

Task<Result<void>> fill(Session& session, Handle handle, const Target& target,
                        const Content& content, const TransferOptions& options) {
  Client& client = *session.client;
  const auto attributes = co_await client.write_and_close(
      std::move(handle), target.part_path, target.size, wants_sync(client, options.fsync),
      content.source, content.on_acknowledged);
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

bool wants_sync(const Client& client, Fsync fsync) {
  return fsync == Fsync::kWhereOffered && client.offers_fsync();
}

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
  if (renamed) co_return renamed;
  const Error error = renamed.error().with_context("rename to " + target.final_path);
  if (error.kind != ErrorKind::kFailed) co_return error;
  const auto there = co_await client.lstat(target.final_path);
  if (!there || !there->permissions || !sftp::is_directory(*there)) co_return error;
  co_return make_error(ErrorKind::kDenied, "rename to {}: there is a directory of that name",
                       target.final_path);
}

Task<Result<void>> verify_part(Session& session, const Target& target, Verify verify) {
  if (verify == Verify::kNone) co_return Result<void>();
  auto verified = co_await verify_size(*session.client, target);
  if (verified) verified = co_await verify_bytes(session, target, verify);
  co_return verified;
}

Task<Result<RenameFate>> fate_of_rename(Client& client, const Target& target) {
  const auto part = co_await client.stat(target.part_path);
  if (part) co_return RenameFate::kPending;
  if (part.error().kind != ErrorKind::kNotFound) co_return part.error();
  const auto there = co_await client.stat(target.final_path);
  if (!there && there.error().kind == ErrorKind::kNotFound) co_return RenameFate::kVoid;
  if (!there) co_return there.error();
  if (there->size.value_or(target.size) != target.size) co_return RenameFate::kVoid;
  const auto found = co_await read_checksum(client, target.final_path, target.size);
  if (!found && found.error().kind == ErrorKind::kNotFound) co_return RenameFate::kVoid;
  if (!found && found.error().kind == ErrorKind::kDenied) co_return RenameFate::kUnreadable;
  if (!found) co_return found.error();
  co_return *found == target.sha256 ? RenameFate::kDone : RenameFate::kVoid;
}

Task<Error> explain(Client& client, Error error, const Target& target) {
  if (error.kind != ErrorKind::kFailed || !client.offers_statvfs()) co_return error;
  const auto space = co_await client.statvfs(parent_of(target.final_path));
  const std::uint64_t needed = std::max<std::uint64_t>(target.size, 1);
  if (!space || space->available_bytes >= needed) co_return error;
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
  [[maybe_unused]] const auto removed = co_await remove_leftover(client, target.part_path);
  co_return error;
}

}  // namespace ferry::transfer
