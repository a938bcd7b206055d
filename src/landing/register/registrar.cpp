#include "landing/register/registrar.h"

#include <algorithm>
#include <map>
#include <utility>

#include "ferry/base/log.h"
#include "landing/quarantine/quarantine_folder.h"
#include "landing/register/metastore_trouble.h"
#include "landing/watch/ignore.h"
#include "landing/watch/missing.h"

namespace ferry::landing {
namespace {

using Outcome = Inspection::Outcome;
using metastore::Registration;

constexpr std::size_t kGroup = 1'000;
constexpr std::chrono::milliseconds kFirstPause{1'000};
constexpr std::chrono::milliseconds kLongestPause{30'000};

metastore::FileRecord to_record(const Finished& file, const std::string& landing) {
  metastore::FileRecord record;
  record.path = file.path;
  record.updated_date = now();
  record.checksum = file.inspection.checksum;
  record.landing = landing;
  record.identity = file.inspection.identity;
  record.source = metastore::FileSource::kWatch;
  record.reason = file.inspection.reason;
  if (file.inspection.outcome == Outcome::kRefused) {
    record.state = metastore::FileState::kQuarantined;
  }
  return record;
}

void log_registration(const Registration& registration, const Finished& file,
                      const std::string& landing) {
  if (registration.outcome == Registration::Outcome::kDuplicate) return;
  const bool inserted = registration.outcome == Registration::Outcome::kInserted;
  if (file.inspection.outcome == Outcome::kHashed) {
    log::info(inserted ? "registered" : "same bytes", {{"path", file.path},
                                                       {"id", registration.id},
                                                       {"size", file.inspection.identity.size},
                                                       {"landing", landing}});
  }
  if (!registration.superseded_id.empty()) {
    log::info("superseded",
              {{"path", file.path}, {"id", registration.superseded_id}, {"by", registration.id}});
  }
}

/// The same file gets the same name each time: a move that a crash cut short is done again.
std::string id_of_unregistered(const FileIdentity& identity) {
  return fmt::format("{:x}-{:x}-{:x}", identity.device, identity.inode, identity.ctime_ns);
}

}  // namespace

Registrar::Registrar(metastore::Metastore& metastore, std::vector<LandingArea> areas, bool retry,
                     const StopToken& stop, Mailbox& mailbox, Pulse& pulse)
    : metastore_(metastore),
      areas_(std::move(areas)),
      retry_(retry),
      stop_(stop),
      mailbox_(mailbox),
      pulse_(pulse),
      thread_([this] { run(); }) {}

void Registrar::finish() {
  {
    const std::scoped_lock lock(mutex_);
    finishing_ = true;
  }
  finishing_changed_.notify_all();
  jobs_.close();
  if (thread_.joinable()) thread_.join();
}

std::vector<Registrar::Job> Registrar::next_jobs() {
  const Rest rest(pulse_);
  return jobs_.pop(kGroup);
}

void Registrar::run() {
  for (;;) {
    std::vector<Job> jobs = next_jobs();
    if (jobs.empty()) return pulse_.rest();
    // A path is in at most one job at a time: their order among themselves does not matter.
    std::vector<Finished> group;
    for (Job& job : jobs) {
      if (auto* file = std::get_if<Finished>(&job)) group.push_back(std::move(*file));
    }
    if (!group.empty()) record_group(std::move(group));
    for (const Job& job : jobs) {
      if (const auto* request = std::get_if<SweepRequest>(&job)) sweep_now(*request);
    }
  }
}

void Registrar::record_group(std::vector<Finished> group) {
  persist("register files", [&] { return register_hashed(group); });
  persist("mark files missing", [&] { return mark_gone(group); });
  for (const Finished& finished : group) move_aside(finished);
  mailbox_.post_all(std::move(group));
}

Result<void> Registrar::register_hashed(std::vector<Finished>& group) {
  std::vector<metastore::FileRecord> records;
  std::vector<Finished*> files;
  for (Finished& file : group) {
    const Outcome outcome = file.inspection.outcome;
    if (outcome != Outcome::kHashed && outcome != Outcome::kRefused) continue;
    records.push_back(to_record(file, areas_[file.area].name));
    files.push_back(&file);
  }
  if (records.empty()) return {};
  const auto registrations = metastore_.register_files(std::move(records));
  if (!registrations) return registrations.error();
  for (std::size_t i = 0; i < files.size(); ++i) {
    const Registration& registration = registrations->at(i);
    const bool inserted = registration.outcome == Registration::Outcome::kInserted;
    // What the policy refuses and the registry has as ready was released: it stays.
    if (registration.outcome == Registration::Outcome::kUpdated) {
      files[i]->inspection.outcome = Outcome::kHashed;
    }
    if (inserted && files[i]->inspection.outcome == Outcome::kHashed) ++inserted_;
    bytes_ += files[i]->inspection.identity.size;
    files[i]->id = registration.id;
    log_registration(registration, *files[i], areas_[files[i]->area].name);
  }
  return {};
}

Result<void> Registrar::mark_gone(const std::vector<Finished>& group) {
  std::map<std::size_t, std::vector<std::string>> gone;
  for (const Finished& file : group) {
    if (file.inspection.outcome == Outcome::kGone) gone[file.area].push_back(file.path);
  }
  for (const auto& [area, paths] : gone) {
    if (auto marked = mark_missing(areas_[area].name, paths, "removed"); !marked) return marked;
  }
  return {};
}

Result<void> Registrar::mark_missing(const std::string& landing,
                                     const std::vector<std::string>& paths,
                                     std::string_view reason) {
  if (paths.empty()) return {};
  const auto count = metastore_.mark_missing(landing, paths, reason);
  if (!count) return count.error();
  if (*count == paths.size()) {
    for (const std::string& path : paths) {
      log::info("missing", {{"path", path}, {"landing", landing}, {"reason", reason}});
    }
  } else if (*count > 0) {
    log::info("missing", {{"files", *count}, {"landing", landing}, {"reason", reason}});
  }
  return {};
}

void Registrar::move_aside(const Finished& finished) {
  const Inspection& inspection = finished.inspection;
  const bool refused = inspection.outcome == Outcome::kRefused;
  const bool is_unregistered =
      inspection.outcome == Outcome::kAbnormal || inspection.outcome == Outcome::kUnread;
  if (!refused && !is_unregistered) return;
  if (refused && finished.id.empty()) return;  // it could not be registered
  const LandingArea& area = areas_[finished.area];
  if (!area.can_move_aside()) return held_in_place(finished);
  hold(area,
       {.id = refused ? finished.id : id_of_unregistered(inspection.identity),
        .path = finished.path,
        .reason = inspection.reason,
        .registered = refused},
       inspection.identity);
}

/// On a server, and where else nothing is moved.
void Registrar::held_in_place(const Finished& finished) {
  ++quarantined_;
  log::warning("quarantined", {{"landing", areas_[finished.area].name},
                               {"path", printable(finished.path)},
                               {"id", finished.id},
                               {"reason", finished.inspection.reason}});
}

void Registrar::hold(const LandingArea& area, const HeldFile& file, const FileIdentity& identity) {
  if (retry_ && stop_.stop_requested()) return;
  pulse_.beat();
  auto folder = QuarantineFolder::make(area);
  const Result<void> taken = folder ? folder->take(file, identity) : folder.error();
  if (taken) {
    ++quarantined_;
    log::warning("quarantined", {{"landing", area.name},
                                 {"path", printable(file.path)},
                                 {"id", file.id},
                                 {"reason", file.reason}});
    return complaints_.settle(file.path);
  }
  // Where it went away, or another took its place, events tell what is there now.
  const Error& error = taken.error();
  if (error.kind == ErrorKind::kNotFound || (error.kind == ErrorKind::kBusy && error.os_code == 0))
    return;
  if (!complaints_.is_new(file.path, error.message)) return;
  log::warning("not moved aside", {{"landing", area.name},
                                   {"path", printable(file.path)},
                                   {"reason", file.reason},
                                   {"error", error.message},
                                   {"next",
                                    "it stays, is not delivered, and is tried again with "
                                    "the next rescan"}});
}

/// What the registry has as quarantined and a crash, or a lack of permission, left in its place.
Result<void> Registrar::finish_moves(const SweepRequest& request) {
  const LandingArea& area = areas_[request.area];
  if (!area.moves_aside) return {};
  const auto unmoved = find_unmoved(metastore_, area.name, *request.root, pulse_);
  if (!unmoved) return unmoved.error();
  for (const metastore::FileRecord& file : *unmoved) {
    hold(area, {.id = file.id, .path = file.path, .reason = file.reason, .registered = true},
         *file.identity);
  }
  return {};
}

void Registrar::sweep_now(const SweepRequest& request) {
  const std::string& landing = areas_[request.area].name;
  persist("look for missing files", [&]() -> Result<void> {
    const auto missing =
        find_missing(metastore_, landing, *request.root, request.directories, pulse_);
    if (!missing) return missing.error();
    return mark_missing(landing, *missing, "not found by a rescan");
  });
  if (std::ranges::count(request.directories, "") > 0) {  // a rescan of everything
    persist("look for files to be moved aside", [&] { return finish_moves(request); });
    persist("look for files that were released",
            [&] { return finish_releases(metastore_, areas_[request.area]); });
  }
  mailbox_.post_swept(request.area);
}

bool Registrar::persist(std::string_view purpose, const std::function<Result<void>()>& work) {
  auto time = kFirstPause;
  while (!failed_) {
    pulse_.beat();
    const auto done = work();
    if (done) return true;
    failed_ = !may_pass(purpose, done.error(), retry_, mailbox_);
    if (failed_) return false;
    log::error("metastore not writable", {{"purpose", purpose},
                                          {"reason", done.error().message},
                                          {"next", "tried again until it works"}});
    if (!pause(time)) {
      failed_ = true;
      mailbox_.post_failure({Origin::kMetastore, done.error().with_context(purpose)});
    }
    time = std::min(time * 2, kLongestPause);
  }
  return false;
}

bool Registrar::pause(std::chrono::milliseconds time) {
  const Rest rest(pulse_);
  std::unique_lock lock(mutex_);
  return !finishing_changed_.wait_for(lock, time, [&] { return finishing_; });
}

}  // namespace ferry::landing
