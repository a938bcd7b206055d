#include "landing/register/inspect.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "ferry/base/directory.h"
#include "ferry/base/writers.h"
#include "landing/watch/ignore.h"

namespace ferry::landing {
namespace {

using Outcome = Inspection::Outcome;

constexpr std::size_t kBlock = std::size_t{1024} * 1024;

/// File times advance in steps of up to one timer tick (10 ms where HZ is 100). A write within the
/// tick of the last change leaves the identity as it is: bytes are read only after that tick.
constexpr Duration kTimestampTick = std::chrono::milliseconds(12);

std::string_view kind_name(mode_t mode) {
  if (S_ISLNK(mode)) return "a symbolic link";
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

Inspection unanswered(const Error& error) {
  return {.outcome = Outcome::kUnanswered, .reason = error.message};
}

/// By the wall clock.
Duration since_last_change(const FileIdentity& identity) {
  return age_of_change(identity, std::chrono::system_clock::now());
}

/// How long it has been seen without a change.
Duration unchanged_for(const DuePath& candidate, const FileIdentity& identity) {
  const bool seen_before = candidate.sighting && candidate.sighting->identity == identity;
  return seen_before ? Clock::now() - candidate.sighting->since : Duration::zero();
}

/// Until the area's policy takes it for old enough.
std::optional<Inspection> age_check(const AcceptancePolicy& policy, const DuePath& candidate,
                                    const FileIdentity& identity) {
  // A clock that was set back makes the file's times useless, and not what we saw ourselves.
  const Duration wait =
      quiet_delay(policy.min_age, since_last_change(identity), unchanged_for(candidate, identity));
  if (wait <= Duration::zero()) return std::nullopt;
  Inspection inspection = unsettled(identity, wait);
  inspection.reason = "it is younger than min_age";
  return inspection;
}

/// Nothing: read it now. Else what to do in its place.
std::optional<Inspection> settle_check(int fd, const Root& root, const DuePath& candidate,
                                       const FileIdentity& identity, Duration settle) {
  const Writers writers = root.is_local() ? writers_of(fd) : Writers::kUnknown;
  if (writers == Writers::kSome) return unsettled(identity, std::nullopt);
  const auto age = root.is_local() ? std::optional(since_last_change(identity)) : std::nullopt;
  const Duration period = writers == Writers::kNone ? kTimestampTick : settle;
  const Duration wait = quiet_delay(period, age, unchanged_for(candidate, identity));
  if (wait > Duration::zero()) return unsettled(identity, wait);
  return std::nullopt;
}

/// Why the policy refuses the file, as far as that can be told without reading all of it.
Result<std::optional<std::string>> early_refusal(int fd, const std::string& path,
                                                 std::uint64_t size,
                                                 const AcceptancePolicy& policy) {
  std::vector<std::byte> head(magic_length(policy));
  const auto count = pread_full(fd, head, 0, path);
  if (!count) return count.error();
  return refusal_reason(policy, {path, size, std::span(head).first(*count)});
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

Inspector::Inspector(const StopToken& cancelled, Pulse& pulse)
    : cancelled_(cancelled), pulse_(pulse), buffer_(kBlock) {}

/// The file as it was found and opened.
struct Inspector::File {
  const std::string& path;
  int root_fd;
  int fd;
  FileIdentity identity;
};

Inspection Inspector::inspect(const OpenRoot& root, const DuePath& candidate, const Known& known,
                              const InspectionRules& rules,
                              std::unique_ptr<HashProgress>& progress) {
  pulse_.beat();
  if (!root.fd) {
    const bool is_lost = root.fd.error().kind == ErrorKind::kNotFound;
    return {.outcome = is_lost ? Outcome::kRootLost : Outcome::kUnreadable,
            .reason = root.fd.error().message};
  }
  const int root_fd = root.fd->get();
  const auto status = stat_beneath(root_fd, candidate.path);
  if (!status) return failed(status.error());
  const FileIdentity identity = identity_of(*status);
  // In the place of a file that was there a moment ago: it is watched as a directory.
  if (S_ISDIR(status->st_mode)) return {.outcome = Outcome::kGone};
  if (!S_ISREG(status->st_mode)) {
    return {.outcome = Outcome::kAbnormal,
            .identity = identity,
            .reason = fmt::format("it is {}", kind_name(status->st_mode))};
  }
  if (!known) return unanswered(known.error());
  if (*known == identity) return {.outcome = Outcome::kKnown, .identity = identity};
  const auto fd = open_beneath(root_fd, candidate.path, O_RDONLY);
  if (!fd) return failed(fd.error());
  const auto opened = stat_fd(fd->get(), candidate.path);
  if (!opened) return failed(opened.error());
  if (identity_of(*opened) != identity) return unsettled(identity_of(*opened), std::nullopt);
  return read({candidate.path, root_fd, fd->get(), identity}, root.root, candidate, rules,
              progress);
}

/// Under another name it was not let go.
Result<std::optional<ReleaseMark>> Inspector::mark_of(const File& file,
                                                      const InspectionRules& rules) {
  auto mark = rules.released(file.root_fd, file.identity);
  if (mark && *mark && (*mark)->path != file.path) mark->reset();
  return mark;
}

Inspection Inspector::read(const File& file, const Root& root, const DuePath& candidate,
                           const InspectionRules& rules, std::unique_ptr<HashProgress>& progress) {
  const FileIdentity& identity = file.identity;
  if (auto wait = settle_check(file.fd, root, candidate, identity, rules.settle)) return *wait;
  if (const auto problem = name_problem(file.path)) {
    return {.outcome = Outcome::kAbnormal, .identity = identity, .reason = std::string(*problem)};
  }
  const auto released = mark_of(file, rules);
  if (!released) {
    return {.outcome = Outcome::kUnreadable, .reason = released.error().message};
  }
  if (auto wait = age_check(rules.acceptance, candidate, identity)) return *wait;
  if (identity.size > kPieceBytes && !*released) {
    const auto refusal = early_refusal(file.fd, file.path, identity.size, rules.acceptance);
    if (!refusal) return failed(refusal.error());
    if (*refusal) return {.outcome = Outcome::kUnread, .identity = identity, .reason = **refusal};
  }
  Inspection hashed = hash(file, progress);
  const bool is_hashed = hashed.outcome == Outcome::kHashed;
  if (!is_hashed && hashed.outcome != Outcome::kLarge) return hashed;
  Inspection judged = is_hashed ? judge_hashed(file, hashed, rules, *released) : hashed;

  const auto after = stat_fd(file.fd, file.path);
  if (!after) return failed(after.error());
  const auto named = stat_beneath(file.root_fd, file.path);
  if (!named) return failed(named.error());
  if (identity_of(*after) != identity || identity_of(*named) != identity) {
    return unsettled(identity_of(*named), std::nullopt);
  }
  return judged;
}

/// A large file's first look reads nothing: there may be others.
Inspection Inspector::hash(const File& file, std::unique_ptr<HashProgress>& progress) {
  const bool begins = !progress || progress->identity != file.identity;
  if (begins) progress = std::make_unique<HashProgress>(HashProgress{.identity = file.identity});
  Inspection goes_on{.outcome = Outcome::kLarge, .identity = file.identity};
  if (begins && file.identity.size > kPieceBytes) return goes_on;
  const auto at_end = hash_piece(file, *progress);
  if (!at_end) {
    if (at_end.error().kind == ErrorKind::kCancelled) return {};
    return failed(at_end.error());
  }
  if (!*at_end) return goes_on;
  const auto done = std::exchange(progress, nullptr);
  if (done->offset != file.identity.size) return unsettled(file.identity, std::nullopt);
  return {
      .outcome = Outcome::kHashed, .identity = file.identity, .checksum = done->hasher.finish()};
}

/// True at the end of the file.
Result<bool> Inspector::hash_piece(const File& file, HashProgress& progress) {
  ::posix_fadvise(file.fd, static_cast<off_t>(progress.offset), kPieceBytes, POSIX_FADV_SEQUENTIAL);
  for (std::uint64_t piece = 0; piece < kPieceBytes; piece += buffer_.size()) {
    pulse_.beat();
    if (cancelled_.stop_requested()) return make_error(ErrorKind::kCancelled, "asked to stop");
    const auto count = pread_full(file.fd, buffer_, progress.offset, file.path);
    if (!count) return count.error();
    progress.hasher.update(std::span(buffer_).first(*count));
    progress.offset += *count;
    if (*count < buffer_.size()) return true;
  }
  return false;
}

Inspection Inspector::judge_hashed(const File& file, Inspection hashed,
                                   const InspectionRules& rules,
                                   const std::optional<ReleaseMark>& released) const {
  if (released && released->checksum == hashed.checksum) {
    hashed.reason = released->reason;
    return hashed;
  }
  if (takes_everything(rules.acceptance)) return hashed;
  const auto is_accepted = rules.is_accepted(file.path, hashed.checksum);
  if (!is_accepted) return unanswered(is_accepted.error());
  if (*is_accepted) return hashed;
  const Rest rest(pulse_);  // the command has a deadline
  const std::uint64_t size = file.identity.size;
  const auto refusal =
      judge(rules.acceptance, file.fd, file.path, size,
            judged_environment(rules.landing, file.path, size, hashed.checksum), cancelled_);
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
