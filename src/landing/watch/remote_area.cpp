#include "landing/watch/remote_area.h"

#include <algorithm>
#include <span>
#include <utility>

#include "ferry/base/log.h"
#include "ferry/base/subtrees.h"
#include "ferry/sftp/read_ahead.h"
#include "ferry/sftp/remote_path.h"
#include "landing/register/metastore_trouble.h"
#include "landing/register/registered.h"
#include "landing/watch/missing.h"

namespace ferry::landing {
namespace {

using std::chrono::milliseconds;
using Outcome = Inspection::Outcome;

constexpr milliseconds kFirstPause{1'000};
constexpr milliseconds kLongestPause{60'000};
/// Servers tell times in whole seconds.
constexpr milliseconds kShortestSettle{1'100};
/// Files that are read at once: while one waits for an answer the others fill the line.
constexpr std::size_t kLanes = 16;
/// A larger file is read in pieces of this size, for this long in each look.
constexpr std::uint64_t kPieceBytes = Inspector::kPieceBytes;
constexpr milliseconds kReadingTime{10'000};

/// Nothing more can be asked for.
bool ends_look(ErrorKind kind) {
  return sftp::ends_connection(kind) || kind == ErrorKind::kCancelled;
}

Error not_settled(const std::string& path) {
  return make_error(ErrorKind::kBusy, "{}: it changed while it was read", path);
}

/// By the server's time of the last change and our clock, or, where one of them cannot be right, by
/// what we saw ourselves.
bool is_too_young(const AcceptancePolicy& policy, const Sighting& sighting) {
  const auto age = age_of_change(sighting.identity, now());
  return quiet_delay(policy.min_age, age, Clock::now() - sighting.since) > Duration::zero();
}

}  // namespace

RemoteArea::RemoteArea(LandingArea area, std::size_t index, RemoteTiming timing,
                       metastore::Metastore& metastore, Registrar& registrar, Mailbox& mailbox)
    : area_(std::move(area)),
      index_(index),
      timing_(timing),
      settle_(std::max(area_.settle, kShortestSettle)),
      ignore_(area_.ignore),
      metastore_(metastore),
      registrar_(registrar),
      mailbox_(mailbox),
      thread_([this] { run(); }) {}

void RemoteArea::stop() {
  stop_.request_stop();
  if (thread_.joinable()) thread_.join();
}

IgnoredCounts RemoteArea::ignored() const {
  const std::scoped_lock lock(mutex_);
  return ignored_;
}

void RemoteArea::recorded(const std::string& path) {
  const std::scoped_lock lock(mutex_);
  handed_over_.erase(path);
}

bool RemoteArea::is_handed_over(const std::string& path) {
  const std::scoped_lock lock(mutex_);
  return handed_over_.contains(path);
}

void RemoteArea::hand_over(std::string path, Inspection inspection) {
  {
    const std::scoped_lock lock(mutex_);
    handed_over_.insert(path);
  }
  registrar_.record({.area = index_, .path = std::move(path), .inspection = std::move(inspection)});
}

void RemoteArea::run() {
  if (timing_.once) {
    if (const auto looked = look_once(); !looked) report(looked.error());
    done_ = true;
    return mailbox_.post_swept(index_);
  }
  milliseconds pause = kFirstPause;
  while (!stop_.stop_requested()) {
    const auto looked = look();
    const bool is_reached = looked || looked.error().origin == Origin::kMetastore;
    if (is_reached && std::exchange(is_lost_, false)) {
      log::info("landing area is back", {{"landing", area_.name}});
    }
    if (!looked && !report(looked.error())) return;
    pause = looked ? kFirstPause : std::min(pause * 2, kLongestPause);
    const milliseconds rest = readings_.empty() ? timing_.poll_interval : milliseconds(0);
    sleep_unless_stopped(looked ? rest : pause, stop_);
  }
}

/// False if no further look is of use.
bool RemoteArea::report(const Failure& failure) {
  if (stop_.stop_requested()) return false;
  const auto& [origin, error] = failure;
  if (origin == Origin::kMetastore) return unanswered_for_now(error, !timing_.once, mailbox_);
  if (timing_.once) {
    mailbox_.post_failure({origin, error.with_context("landing area " + area_.name)});
    return false;
  }
  client_.reset();
  if (std::exchange(is_lost_, true)) return true;
  log::error("landing area lost", {{"landing", area_.name},
                                   {"reason", error.message},
                                   {"next", "tried again until it is there"}});
  return true;
}

ferry::Outcome<void> RemoteArea::look_once() {
  if (auto looked = look(); !looked) return looked;
  if (unsettled_files_.empty()) return {};
  const auto settle = std::chrono::duration_cast<milliseconds>(settle_);
  if (!sleep_unless_stopped(settle, stop_)) return {};
  if (auto looked = look(); !looked) return looked;
  unsettled_ = unsettled_files_.size();
  for (const auto& [path, file] : unsettled_files_) {
    log::warning(file.too_young ? "too young" : "still being written",
                 {{"landing", area_.name},
                  {"path", path},
                  {"next", file.too_young ? "a later run registers it once it is old enough"
                                          : "the next run registers it once it rests"}});
  }
  return {};
}

Result<void> RemoteArea::connect() {
  if (client_) return {};
  auto client = loop_.wait_for(sftp::Client::connect(area_.location->connect, {}, loop_));
  if (!client) return client.error();
  client_ = std::move(*client);
  return {};
}

Result<void> RemoteArea::run_loop() {
  loop_.run();
  if (const auto& lost = client_->error()) return *lost;
  return {};
}

ferry::Outcome<void> RemoteArea::look() {
  if (auto connected = connect(); !connected) {
    return fail(connected.error(), Origin::kDestination);
  }
  const Timestamp started = now();
  const auto listing = list_remote(*client_, area_.location->directory, ignore_);
  if (!listing) return fail(listing.error(), Origin::kDestination);
  log::debug("looked", {{"landing", area_.name},
                        {"directories", listing->directories},
                        {"files", listing->files.size()},
                        {"ignored", listing->ignored.all()}});
  {
    const std::scoped_lock lock(mutex_);
    ignored_ = listing->ignored;
  }
  complain(*listing);
  auto settled = settled_files(*listing);
  if (!settled) return fail(settled.error(), Origin::kMetastore);
  unanswered_.reset();
  if (auto hashed = hash(std::move(*settled)); !hashed) {
    return fail(hashed.error(), Origin::kDestination);
  }
  if (const auto error = std::exchange(unanswered_, std::nullopt)) {
    return fail(*error, Origin::kMetastore);
  }
  const auto missing = missing_from(*listing, started);
  if (!missing) return fail(missing.error(), Origin::kMetastore);
  if (auto swept = sweep(*missing); !swept) return fail(swept.error(), Origin::kDestination);
  return {};
}

void RemoteArea::complain(const RemoteListing& listing) {
  const auto say = [&](std::string_view event, const RemoteListing::Skipped& what) {
    if (!complaints_.is_new(what.path, what.reason)) return false;
    log::warning(
        event, {{"landing", area_.name}, {"path", printable(what.path)}, {"reason", what.reason}});
    return true;
  };
  for (const auto& skipped : listing.skipped) say("skipped", skipped);
  for (const auto& directory : listing.unreadable) failed_ += say("unreadable", directory) ? 1 : 0;
}

/// Those that the registry does not know, or not as they are.
Result<std::vector<RemoteListing::File>> RemoteArea::unregistered(const RemoteListing& listing) {
  constexpr std::size_t kGroup = 1'000;
  std::vector<RemoteListing::File> found;
  for (std::span<const RemoteListing::File> left = listing.files; !left.empty();) {
    const auto group = left.first(std::min(kGroup, left.size()));
    left = left.subspan(group.size());
    std::vector<std::string> paths;
    for (const RemoteListing::File& file : group) paths.push_back(file.path);
    const auto latest = metastore_.latest(area_.name, paths);
    if (!latest) return latest.error();
    for (std::size_t i = 0; i < group.size(); ++i) {
      if (!is_registered_as((*latest)[i], group[i].identity)) found.push_back(group[i]);
    }
  }
  return found;
}

Result<std::vector<RemoteListing::File>> RemoteArea::settled_files(const RemoteListing& listing) {
  const auto candidates = unregistered(listing);
  if (!candidates) return candidates.error();
  std::vector<RemoteListing::File> settled;
  std::map<std::string, Unsettled> unsettled;
  const TimePoint now = Clock::now();
  for (const RemoteListing::File& file : *candidates) {
    if (is_handed_over(file.path)) continue;
    if (is_being_read(file)) {
      settled.push_back(file);
      continue;
    }
    Unsettled seen{.sighting = {file.identity, now}, .first_seen = now};
    if (const auto before = unsettled_files_.find(file.path); before != unsettled_files_.end()) {
      const Sighting& sighting = before->second.sighting;
      seen.first_seen = before->second.first_seen;
      if (sighting.identity == file.identity) seen.sighting.since = sighting.since;
    }
    const bool rests = now - seen.sighting.since >= settle_;
    seen.too_young = rests && is_too_young(area_.acceptance, seen.sighting);
    if (rests && !seen.too_young) {
      settled.push_back(file);
    } else {
      if (!rests) complain_of_long_writing(file.path, now - seen.first_seen);
      unsettled.emplace(file.path, seen);
    }
  }
  unsettled_files_ = std::move(unsettled);
  return settled;
}

void RemoteArea::complain_of_long_writing(const std::string& path, Duration time) {
  if (time < area_.unsettled_after) return;
  const auto reason =
      fmt::format("it has not come to rest for {} s",
                  std::chrono::floor<std::chrono::seconds>(area_.unsettled_after).count());
  if (!complaints_.is_new(path, reason)) return;
  log::warning("still being written",
               {{"landing", area_.name}, {"path", path}, {"reason", reason}});
}

bool RemoteArea::is_being_read(const RemoteListing::File& file) const {
  const auto reading = readings_.find(file.path);
  return reading != readings_.end() && reading->second.identity == file.identity;
}

Result<void> RemoteArea::hash(std::vector<RemoteListing::File> files) {
  ToRead to_read;
  std::map<std::string, Reading> readings;
  for (RemoteListing::File& file : files) {
    std::uint64_t left = file.identity.size;
    if (is_being_read(file)) {
      auto reading = readings_.extract(file.path);
      left -= reading.mapped().size;
      readings.insert(std::move(reading));
    }
    to_read.emplace(left, std::move(file));
  }
  readings_ = std::move(readings);  // what is not there any more, or changed, is forgotten
  if (to_read.empty()) return {};
  const auto deadline = timing_.once ? TimePoint::max() : Clock::now() + kReadingTime;
  for (std::size_t i = 0; i < std::min(kLanes, to_read.size()); ++i) {
    loop_.spawn(hash_lane(to_read, deadline));
  }
  return run_loop();
}

sftp::Task<void> RemoteArea::hash_lane(ToRead& files, TimePoint deadline) {
  while (!files.empty() && !stop_.stop_requested()) {
    const bool is_large = files.begin()->first > kPieceBytes;
    if (is_large && Clock::now() >= deadline) co_return;
    const RemoteListing::File file = std::move(files.extract(files.begin()).mapped());
    auto known = readings_.extract(file.path);
    Reading reading = known ? std::move(known.mapped()) : Reading{.identity = file.identity};
    const auto at_end = co_await hash_piece(file, reading);
    const bool is_cut_off = !at_end && ends_look(at_end.error().kind);
    if (at_end && *at_end) {
      take_hash(file, reading);
    } else if (at_end || is_cut_off) {
      files.emplace(file.identity.size - reading.size, file);
      readings_.emplace(file.path, std::move(reading));
    } else {
      take_failure(file, at_end.error());
    }
    if (is_cut_off) co_return;
  }
}

/// What the registry has as accepted was released: it is not held again.
Result<Inspection> RemoteArea::judge(const RemoteListing::File& file, const Checksum& checksum,
                                     std::span<const std::byte> head) const {
  Inspection inspection{
      .outcome = Outcome::kHashed, .identity = file.identity, .checksum = checksum};
  auto reason = refusal_reason(area_.acceptance,
                               {.path = file.path, .size = file.identity.size, .head = head});
  if (!reason) return inspection;
  const auto accepted = is_accepted(metastore_, area_.name, file.path, checksum);
  if (!accepted) return accepted.error();
  if (*accepted) return inspection;
  inspection.outcome = Outcome::kRefused;
  inspection.reason = std::move(*reason);
  return inspection;
}

void RemoteArea::take_hash(const RemoteListing::File& file, Reading& reading) {
  auto judged = judge(file, reading.hasher.finish(), reading.head);
  if (!judged) {
    unanswered_ = judged.error();  // the next look reads the file again
    return;
  }
  complaints_.settle(file.path);
  hand_over(file.path, std::move(*judged));
}

void RemoteArea::take_failure(const RemoteListing::File& file, const Error& error) {
  if (error.kind == ErrorKind::kNotFound) return;
  if (error.kind == ErrorKind::kBusy) {
    const TimePoint now = Clock::now();
    unsettled_files_.insert_or_assign(
        file.path, Unsettled{.sighting = {file.identity, now}, .first_seen = now});
    return;
  }
  if (!complaints_.is_new(file.path, error.message)) return;
  if (error.kind == ErrorKind::kAbnormal) {
    log::warning("skipped",
                 {{"landing", area_.name}, {"path", file.path}, {"reason", error.message}});
    return;
  }
  ++failed_;
  log::warning("unreadable", {{"landing", area_.name},
                              {"path", file.path},
                              {"reason", error.message},
                              {"next", "it is tried again at the next look"}});
}

/// By its name, and not through a link.
sftp::Task<Result<void>> RemoteArea::check(const RemoteListing::File& file) {
  const auto found =
      co_await client_->lstat(sftp::join_remote(area_.location->directory, file.path));
  if (!found) co_return found.error();
  if (!sftp::is_version(*found, file.identity)) co_return not_settled(file.path);
  co_return Result<void>();
}

/// True at the end of the file.
sftp::Task<Result<bool>> RemoteArea::hash_piece(const RemoteListing::File& file, Reading& reading) {
  const auto before = co_await check(file);
  if (!before) co_return before.error();
  const std::string path = sftp::join_remote(area_.location->directory, file.path);
  const auto handle = co_await client_->open(path, sftp::kOpenRead, 0);
  if (!handle) co_return handle.error();
  auto at_end = co_await read_piece(*handle, file, reading);
  const auto opened = co_await client_->fstat(*handle);
  if (at_end && (!opened || sftp::identity_of(*opened) != file.identity)) {
    at_end = opened ? not_settled(file.path) : opened.error();
  }
  const auto closed = co_await client_->close(*handle);
  if (at_end && !closed) at_end = closed.error();
  if (!at_end) co_return at_end;
  const auto after = co_await check(file);
  if (!after) co_return after.error();
  co_return at_end;
}

sftp::Task<Result<bool>> RemoteArea::read_piece(const sftp::Handle& handle,
                                                const RemoteListing::File& file, Reading& reading) {
  const std::size_t head_size = magic_length(area_.acceptance);
  const std::uint64_t left = file.identity.size - reading.size;
  const bool is_last = left <= kPieceBytes;
  // In the end one byte more than it should have: a file that grew shows itself.
  const std::uint64_t end = reading.size + (is_last ? left + 1 : kPieceBytes);
  sftp::ReadAhead data(*client_, handle, reading.size, end, read_budget_);
  while (reading.size < end) {
    const auto block = co_await data.next();
    if (!block) co_return block.error();
    if (block->empty()) break;
    reading.hasher.update(*block);
    const std::size_t wanted = std::min(head_size - reading.head.size(), block->size());
    const auto head = std::span(*block).first(wanted);
    reading.head.insert(reading.head.end(), head.begin(), head.end());
    reading.size += block->size();
    if (auto fit = check_head(file, reading); !fit) co_return fit.error();
  }
  const bool is_right = is_last ? reading.size == file.identity.size : reading.size == end;
  if (!is_right) co_return not_settled(file.path);
  co_return is_last;
}

/// A large file that the policy refuses for its size, name or first bytes is not read for that.
Result<void> RemoteArea::check_head(const RemoteListing::File& file, Reading& reading) const {
  const bool is_head_known = reading.head.size() == magic_length(area_.acceptance);
  if (reading.is_judged || !is_head_known || file.identity.size <= kPieceBytes) return {};
  reading.is_judged = true;
  auto reason = refusal_reason(
      area_.acceptance, {.path = file.path, .size = file.identity.size, .head = reading.head});
  if (!reason) return {};
  return Error{ErrorKind::kAbnormal, std::move(*reason), 0};
}

/// What the registry has as ready, and LISTING does not have.
Result<std::vector<std::string>> RemoteArea::missing_from(const RemoteListing& listing,
                                                          Timestamp started) const {
  std::set<std::string_view> present;
  for (const RemoteListing::File& file : listing.files) present.insert(file.path);
  std::vector<std::string> unknown;
  for (const auto& directory : listing.unreadable) unknown.push_back(directory.path);
  const Subtrees unreadable(std::move(unknown));
  std::vector<std::string> missing;
  // What was registered since we began to look may have come after it.
  const metastore::FileQuery latest{.landings = {area_.name},
                                    .states = {metastore::FileState::kReady},
                                    .latest_versions = true,
                                    .updated = {.since = {}, .until = started}};
  auto visited = metastore_.visit(latest, [&](const metastore::FileRecord& file, auto) {
    if (!present.contains(file.path) && !unreadable.cover(file.path)) missing.push_back(file.path);
  });
  if (!visited) return visited.error();
  return missing;
}

Result<void> RemoteArea::sweep(const std::vector<std::string>& missing) {
  for (const std::string& path : missing) {
    if (!is_handed_over(path)) loop_.spawn(confirm_gone(path));
  }
  return run_loop();
}

sftp::Task<void> RemoteArea::confirm_gone(std::string path) {
  const auto found = co_await client_->lstat(sftp::join_remote(area_.location->directory, path));
  if (!found && found.error().kind == ErrorKind::kNotFound) {
    hand_over(std::move(path), {.outcome = Outcome::kGone});
  }
}

}  // namespace ferry::landing
