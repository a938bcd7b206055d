#include "transfer/naming/free_name.h"

#include "ferry/transfer/routes.h"
#include "transfer/deliver/removal.h"
#include "transfer/verify/remote_digest.h"

namespace ferry::transfer {

using sftp::Attributes;
using sftp::Client;
using sftp::Task;

namespace {

/// More versions of one name are nobody's intention.
constexpr std::uint64_t kMostVersions = 1ULL << 40;

Task<Result<bool>> is_there(Client& client, std::string path) {
  const auto there = co_await look_at(client, std::move(path));
  if (!there) co_return there.error();
  co_return there->has_value();
}

Task<Result<bool>> is_taken(Client& client, std::string path, std::string_view sidecar_suffix) {
  const auto there = co_await is_there(client, path);
  if (!there || *there || sidecar_suffix.empty()) co_return there;
  co_return co_await is_there(client, path.append(sidecar_suffix));
}

}  // namespace

Task<Result<std::optional<Attributes>>> look_at(Client& client, std::string path) {
  auto found = co_await client.lstat(path);
  if (found) co_return std::optional(*found);
  if (found.error().kind == ErrorKind::kNotFound) co_return std::optional<Attributes>();
  co_return found.error().with_context("look at " + path);
}

Task<Result<Occupant>> occupant_of(Client& client, Target target) {
  const auto there = co_await look_at(client, target.final_path);
  if (!there) co_return there.error();
  if (!*there) co_return Occupant::kNobody;
  const Attributes& found_there = **there;
  const bool may_be_same =
      sftp::is_regular(found_there) && found_there.size.value_or(target.size) == target.size;
  if (!may_be_same) co_return Occupant::kOther;
  const auto found = co_await read_checksum(client, target.final_path, target.size);
  if (found) co_return *found == target.sha256 ? Occupant::kSame : Occupant::kOther;
  if (client.error()) co_return *client.error();
  if (found.error().kind == ErrorKind::kDenied) co_return Occupant::kUnreadable;
  // It may have grown, or be gone by now.
  co_return Occupant::kOther;
}

Task<Result<Publication>> publish_if_free(Client& client, Target target) {
  Result<void> renamed;
  auto before = co_await occupant_of(client, target);
  if (before && *before == Occupant::kNobody) {
    renamed = co_await client.rename(target.part_path, target.final_path);
    if (renamed) co_return Publication::kDone;
    if (client.error()) co_return *client.error();
    before = co_await occupant_of(client, target);
  }
  if (!before) co_return before.error();
  if (*before == Occupant::kNobody) {
    co_return renamed.error().with_context("rename to " + target.final_path);
  }
  if (*before == Occupant::kOther) co_return Publication::kTaken;
  if (*before == Occupant::kUnreadable) {
    // Nothing but our own rename takes the part away.
    const auto part = co_await is_there(client, target.part_path);
    if (!part) co_return part.error();
    co_return *part ? Publication::kTaken : Publication::kDone;
  }
  // A server that renames by link(2) and unlink(2) may have been cut off between the two.
  const auto removed = co_await remove_leftover(client, target.part_path);
  if (!removed && client.error()) co_return *client.error();
  co_return Publication::kDone;
}

Task<Result<FreeName>> find_free_version(Client& client, Target target, std::string suffix,
                                         std::string_view sidecar_suffix) {
  const std::string plain = target.final_path;
  std::uint64_t taken = 0;
  std::uint64_t free = 1;
  for (;; free *= 2) {
    const std::string path = version_name(plain, free, suffix);
    const auto there = co_await is_taken(client, path, sidecar_suffix);
    if (!there) co_return there.error();
    if (!*there) break;
    taken = free;
    if (free >= kMostVersions) {
      co_return make_error(ErrorKind::kFailed, "{}: the server has every version of it", plain);
    }
  }
  while (free - taken > 1) {
    const std::uint64_t middle = taken + (free - taken) / 2;
    const std::string path = version_name(plain, middle, suffix);
    const auto there = co_await is_taken(client, path, sidecar_suffix);
    if (!there) co_return there.error();
    (*there ? taken : free) = middle;
  }
  if (taken == 0) co_return FreeName{.number = free};
  target.final_path = version_name(plain, taken, suffix);
  const auto last = co_await occupant_of(client, target);
  if (!last) co_return last.error();
  if (*last == Occupant::kSame) co_return FreeName{.number = taken, .is_there = true};
  co_return FreeName{.number = free};
}

}  // namespace ferry::transfer
