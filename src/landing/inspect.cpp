#include "landing/inspect.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>

#include "landing/ignore.h"
#include "landing/writers.h"

namespace ferry::landing {
namespace {

using Outcome = Inspection::Outcome;

constexpr std::size_t kBlock = std::size_t{1024} * 1024;

/// File times advance in steps of up to one timer tick (10 ms where HZ is 100). A write within the
/// tick of the last change leaves the identity as it is: bytes are read only after that tick.
constexpr Duration kTimestampTick = std::chrono::milliseconds(12);

std::string_view kind_name(mode_t mode) {
  if (S_ISLNK(mode)) return "a symbolic link";
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a FIFO";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

Inspection unsettled(const FileIdentity& identity, std::optional<Duration> wait) {
  return {.outcome = Outcome::kUnsettled, .identity = identity, .wait = wait};
}

Inspection failed(const Error& error) {
  Outcome outcome = Outcome::kUnreadable;
  if (error.kind == ErrorKind::kNotFound) outcome = Outcome::kGone;
  if (error.kind == ErrorKind::kAbnormal) outcome = Outcome::kEscapes;
  if (error.os_code == ENAMETOOLONG) {
    return {.outcome = Outcome::kUnreadable, .reason = "its path is too long"};
  }
  if (error.kind == ErrorKind::kBusy) outcome = Outcome::kUnsettled;  // a lease (Samba's oplocks)
  return {.outcome = outcome, .reason = error.message};
}

/// What the metastore knows of it cannot be told.
Inspection unknown(const Error& error) {
  return {.outcome = Outcome::kUnreadable, .reason = error.message};
}

/// By the wall clock. mtime counts too, except where it was set to the future; ctime alone cannot
/// be set.
Duration since_last_change(const FileIdentity& identity) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const Duration since_ctime = now - std::chrono::nanoseconds(identity.ctime_ns);
  const Duration since_mtime = now - std::chrono::nanoseconds(identity.mtime_ns);
  return since_mtime < Duration::zero() ? since_ctime : std::min(since_ctime, since_mtime);
}

/// Until the area's policy takes it for old enough.
std::optional<Inspection> age_check(const AcceptancePolicy& policy, const FileIdentity& identity) {
  using std::chrono::milliseconds;
  const auto age = std::chrono::floor<milliseconds>(since_last_change(identity));
  const auto wait = remaining_wait(policy.min_age, Timestamp{} - age, Timestamp{});
  if (wait <= milliseconds::zero()) return std::nullopt;
  Inspection inspection = unsettled(identity, wait);
  inspection.reason = "it is younger than min_age";
  return inspection;
}

/// Nothing: read it now. Else what to do in its place.
std::optional<Inspection> settle_check(int fd, const Root& root, const DuePath& candidate,
                                       const FileIdentity& identity, Duration settle) {
  const Writers writers = root.is_local() ? writers_of(fd) : Writers::kUnknown;
  if (writers == Writers::kSome) return unsettled(identity, std::nullopt);
  const bool seen_before = candidate.sighting && candidate.sighting->identity == identity;
  const Duration unchanged_for =
      seen_before ? Clock::now() - candidate.sighting->since : Duration::zero();
  const auto age = root.is_local() ? std::optional(since_last_change(identity)) : std::nullopt;
  const Duration period = writers == Writers::kNone ? kTimestampTick : settle;
  const Duration wait = quiet_delay(period, age, unchanged_for);
  if (wait > Duration::zero()) return unsettled(identity, wait);
  return std::nullopt;
}

}  // namespace

Result<HashedContent> hash_content(int fd, const std::string& path, std::span<std::byte> buffer,
                                   const StopToken& cancelled) {
  ::posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
  Hasher hasher(HashAlgorithm::kSha256);
  std::uint64_t offset = 0;
  for (;;) {
    if (cancelled.stop_requested()) {
      return make_error(ErrorKind::kCancelled, "hash {}: asked to stop", path);
    }
    const auto count = pread_full(fd, buffer, offset, path);
    if (!count) return count.error();
    hasher.update(buffer.first(*count));
    offset += *count;
    if (*count < buffer.size()) return HashedContent{hasher.finish(), offset};
  }
}

Inspector::Inspector(const StopToken& cancelled) : cancelled_(cancelled), buffer_(kBlock) {}

Inspection Inspector::inspect(const Root& root, const DuePath& candidate,
                              const InspectionRules& rules) {
  const auto root_fd = root.open();
  if (!root_fd) {
    return {.outcome = Outcome::kRootLost, .reason = root_fd.error().message};
  }
  const auto status = probe(root_fd->get(), candidate.path);
  if (!status) return failed(status.error());
  const FileIdentity identity = identity_of(*status);
  if (!S_ISREG(status->st_mode)) {
    return {.outcome = Outcome::kAbnormal,
            .identity = identity,
            .reason = fmt::format("it is {}", kind_name(status->st_mode))};
  }
  const auto is_registered = rules.is_registered(candidate.path, identity);
  if (!is_registered) return unknown(is_registered.error());
  if (*is_registered) {
    return {.outcome = Outcome::kKnown, .identity = identity};
  }
  return read(root_fd->get(), root, candidate, identity, rules);
}

Inspection Inspector::read(int root_fd, const Root& root, const DuePath& candidate,
                           const FileIdentity& identity, const InspectionRules& rules) {
  // O_NONBLOCK: a FIFO that took the file's place since the probe must not hold us.
  auto fd = open_beneath(root_fd, candidate.path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
  if (!fd) return failed(fd.error());
  const auto opened = stat_fd(fd->get(), candidate.path);
  if (!opened) return failed(opened.error());
  if (identity_of(*opened) != identity) return unsettled(identity_of(*opened), std::nullopt);
  if (auto wait = settle_check(fd->get(), root, candidate, identity, rules.settle)) return *wait;
  if (const auto problem = name_problem(candidate.path)) {
    return {.outcome = Outcome::kAbnormal, .identity = identity, .reason = std::string(*problem)};
  }
  if (auto wait = age_check(rules.acceptance, identity)) return *wait;

  const auto content = hash_content(fd->get(), candidate.path, buffer_, cancelled_);
  if (!content) {
    if (content.error().kind == ErrorKind::kCancelled) return {};
    return failed(content.error());
  }
  const Inspection judged = judge_hashed(
      fd->get(), candidate.path,
      {.outcome = Outcome::kHashed, .identity = identity, .checksum = content->checksum}, rules);
  const auto after = stat_fd(fd->get(), candidate.path);
  if (!after) return failed(after.error());
  const auto named = probe(root_fd, candidate.path);
  if (!named) return failed(named.error());
  if (content->size != identity.size || identity_of(*after) != identity ||
      identity_of(*named) != identity) {
    return unsettled(identity_of(*named), std::nullopt);
  }
  return judged;
}

Inspection Inspector::judge_hashed(int fd, const std::string& path, Inspection hashed,
                                   const InspectionRules& rules) const {
  const auto is_accepted = rules.is_accepted(path, hashed.checksum);
  if (!is_accepted) return unknown(is_accepted.error());
  if (*is_accepted) return hashed;
  const std::uint64_t size = hashed.identity.size;
  const auto refusal =
      judge(rules.acceptance, fd, path, size,
            judged_environment(rules.landing, path, size, hashed.checksum), cancelled_);
  if (!refusal) {
    if (refusal.error().kind == ErrorKind::kCancelled) return {};
    return {.outcome = Outcome::kUnreadable, .reason = refusal.error().message};
  }
  if (*refusal) {
    hashed.outcome = Outcome::kRefused;
    hashed.reason = **refusal;
  }
  return hashed;
}

}  // namespace ferry::landing
