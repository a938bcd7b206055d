#include "ferry/transfer/agent.h"

#include <algorithm>
#include <future>
#include <set>
#include <span>
#include <unordered_map>

#include "ferry/base/log.h"
#include "ferry/base/uuid.h"
#include "ferry/base/writers.h"
#include "transfer/all_or_nothing.h"
#include "transfer/backoff.h"
#include "transfer/batch.h"
#include "transfer/control_name.h"
#include "transfer/crew.h"
#include "transfer/kept_control_file.h"
#include "transfer/landing_roots.h"
#include "transfer/reach.h"
#include "transfer/remote_path.h"
#include "transfer/resume.h"
#include "transfer/route_checks.h"
#include "transfer/serial_observer.h"
#include "transfer/session.h"
#include "transfer/source_opener.h"
#include "transfer/stale_parts.h"
#include "transfer/transform_ahead.h"

namespace ferry::transfer {
namespace {

using Clock = std::chrono::steady_clock;
using metastore::Metastore;

/// The destination's, and none of a single request's.
bool is_of_connection(ErrorKind kind) {
  return sftp::ends_connection(kind) || kind == ErrorKind::kUnreachable ||
         kind == ErrorKind::kRefused;
}

sftp::Task<void> store(sftp::Task<Result<void>> task, Result<void>& outcome) {
  outcome = co_await std::move(task);
}

/// The steps of one run, in order.
class Run {
 public:
  Run(Metastore& metastore, const Destination& destination, const TransferOptions& options,
      Observer& observer, StopToken& stop)
      : metastore_(metastore),
        destination_(destination),
        options_(options),
        observer_(observer),
        limiter_(destination.bandwidth),
        stop_(stop),
        sources_(options.limits.stall_timeout, stop) {}

  Result<TransferSummary> execute();

 private:
  void dial_ahead(const SelectedFiles& selected);
  Result<void> join();
  Result<void> claim(std::vector<SelectedFiles::One> files);  // what is claimed becomes a job
  void add_job(metastore::Claim claim);
  bool would_pass_for_control_file(const std::string& path) const;
  void take_by(const Route& route, Job& job, const metastore::FileRecord& file);
  void refuse_shared_names();
  void refuse_name(Job& job, std::string reason);
  Result<void> open_spool();
  void plan_transform(Job& job, const metastore::FileRecord& file, const Route& route);
  Result<void> tidy_spool();
  void announce();
  void deliver_files();
  void name_together();
  void work_off(WorkQueue& queue, const RunContext& context, TransformAhead* ahead = nullptr);
  void finish_with_control_file();
  Result<std::string> push(const KeptControlFile& kept);  // returns its remote path
  Result<std::string> try_to_push(const KeptControlFile& kept);
  Result<void> record_outcomes();
  void tell_of_abnormal_sources();
  void forget_journals();

  RunContext context(Phase phase) {
    return {destination_, options_, observer_, limiter_, stop_, phase};
  }
  Result<void> need_session();
  void end(Job& job, const Error& error);
  void end_open(const Error& error);  // what was neither delivered nor waits for its name
  void end_all(const Error& error);   // what has not failed already
  Result<KeptControlFile> keep(bool (*is_listed)(const Job&));

  const LeaseSignalGuard lease_signals_;  // see Source::is_vouched_for
  Metastore& metastore_;
  const Destination& destination_;
  const TransferOptions& options_;
  SerialObserver observer_;
  RateLimiter limiter_;
  StopToken& stop_;

  LandingRoots roots_;
  SourceOpener sources_;        // of this thread
  std::optional<Spool> spool_;  // where some route has transforms
  std::optional<Session> session_;
  DialledAhead ahead_;
  std::unique_ptr<metastore::AgentPresence> presence_;
  Batch batch_;
  TransferSummary summary_;
};

Result<TransferSummary> Run::execute() {
  const auto started = Clock::now();
  summary_.destination = destination_.name;
  roots_ = LandingRoots::open(options_.landings, options_.remote_landings);
  auto selected = select_within_reach(metastore_, destination_.name, options_, roots_, sources_);
  if (!selected) return selected.error();
  if (selected->files.empty()) return summary_;

  // Before anything is claimed: a destination that does not answer changes nothing.
  auto session = open_session(destination_, options_, limiter_, stop_);
  if (!session) return session.error();
  session_ = std::move(*session);
  dial_ahead(*selected);
  if (auto opened = open_spool(); !opened) return opened.error();
  if (auto joined = join(); !joined) return joined.error();
  if (auto claimed = claim(std::move(selected->files)); !claimed) return claimed.error();
  if (batch_.jobs.empty()) return summary_;  // others were faster
  refuse_shared_names();
  summary_.batch_id = batch_.id;
  summary_.selected = batch_.jobs.size();

  if (auto made = make_directories(options_.journals); !made) return made.error();
  if (auto removed = remove_stale_parts(metastore_, context(Phase::kDeliver), *session_, batch_.id,
                                        batch_.agent);
      !removed) {
    return removed.error();
  }
  if (auto removed =
          remove_stale_control_files(context(Phase::kDeliver), *session_, selected->batch_ids);
      !removed) {
    return removed.error();
  }
  if (auto kept = keep(is_ready_to_send); !kept) return kept.error();
  remove_outdated_parts(batch_.jobs, context(Phase::kDeliver), *session_);
  plan_spreads(batch_.jobs, context(Phase::kDeliver), *session_);
  announce();
  deliver_files();
  finish_with_control_file();
  observer_.tell_held();
  if (auto recorded = record_outcomes(); !recorded) return recorded.error();
  tell_of_abnormal_sources();
  forget_journals();
  if (auto tidied = tidy_spool(); !tidied) return tidied.error();

  count(batch_, summary_);
  summary_.duration = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - started);
  if (summary_.successful + summary_.failed < summary_.selected) {
    return make_error(ErrorKind::kCancelled,
                      "stopped: {} of {} files were delivered, the others stay pending",
                      summary_.successful, summary_.selected);
  }
  return summary_;
}

/// While the files are claimed and looked at.
void Run::dial_ahead(const SelectedFiles& selected) {
  const WorkQueue::Progress work{.total = selected.bytes + selected.files.size() * kFileCost};
  const auto dial = [this,
                     known = KnownDirectories{session_->directory, session_->control_directory}] {
    return open_session(destination_, options_, limiter_, stop_, known);
  };
  Ramp ramp;
  while (ramp.may_dial(destination_.connections) &&
         is_worth_dialling(work, {}, ramp.asked_for(), session_->client->round_trip())) {
    ahead_.push_back(std::async(std::launch::async, dial));
    ++ramp.dialling;
  }
}

Result<void> Run::join() {
  auto presence = metastore_.join();
  if (!presence) return presence.error();
  presence_ = std::move(*presence);
  batch_.id = uuid_v7();
  batch_.agent = presence_->name();
  batch_.destination = destination_.name;
  batch_.directory = session_->directory;
  batch_.created = now();
  return {};
}

/// In groups: neither the lock nor the memory grows with what is pending.
Result<void> Run::claim(std::vector<SelectedFiles::One> files) {
  constexpr std::size_t kGroupSize = 4096;
  const std::size_t count = files.size();
  batch_.jobs.reserve(count);
  for (std::size_t begin = 0; begin < count && !stop_.stop_requested(); begin += kGroupSize) {
    std::vector<std::string> ids;
    for (std::size_t i = begin; i < std::min(begin + kGroupSize, count); ++i) {
      ids.push_back(std::move(files[i].id));
    }
    auto claims = metastore_.claim({.destination = destination_.name,
                                    .batch_id = batch_.id,
                                    .agent = batch_.agent,
                                    .ids = std::move(ids),
                                    .ignore_max_attempts = !options_.selection.names.empty()});
    if (!claims) return claims.error();
    for (metastore::Claim& claim : *claims) add_job(std::move(claim));
  }
  return {};
}

void Run::add_job(metastore::Claim claim) {
  const LandingRoot* landing = roots_.find(claim.file.landing);
  const Route* route =
      options_.routes == nullptr
          ? nullptr
          : options_.routes->find(claim.file.landing, claim.file.path, destination_.name);
  FileIdentity meant;
  const auto source = check_source(sources_, landing, claim.file, meant);
  const auto name = remote_name(route, claim.file);
  Job& job = batch_.jobs.emplace_back(
      make_job(claim, landing, join_remote(batch_.directory, name.value_or(std::string()))));
  job.source.identity = meant;
  if (source) job.source = *source;
  if (!source) {
    end(job, source.error());
  } else if (!name) {
    job.refused_here = true;
    end(job, name.error());
  } else if (is_too_long(job.remote_path)) {
    refuse_name(job, fmt::format("its remote name, {}, is too long", job.remote_path));
  } else if (would_pass_for_control_file(job.remote_path)) {
    refuse_name(job, fmt::format("its remote name, {}, is one of control files, and would be taken "
                                 "for one: give it another with a route's 'rename'",
                                 job.remote_path));
  } else if (route != nullptr) {
    take_by(*route, job, claim.file);
  }
}

bool Run::would_pass_for_control_file(const std::string& path) const {
  return remote_parent(path) == session_->control_directory &&
         is_name_of_control_files(destination_, path.substr(path.rfind('/') + 1));
}

/// What other routes still have to deliver stays where it is, refused or not.
void Run::take_by(const Route& route, Job& job, const metastore::FileRecord& file) {
  const auto accepted = check_acceptance(route, sources_, job.landing, file, job.source, stop_);
  if (!accepted) {
    job.refused_here = !options_.routes->decides_alone(route, file.landing, file.path);
    end(job, accepted.error());
  } else if (!route.transforms.empty()) {
    plan_transform(job, file, route);
  }
}

Result<void> Run::open_spool() {
  if (options_.routes == nullptr) return {};
  const bool transforms = std::ranges::any_of(
      options_.routes->all(), [](const Route& route) { return !route.transforms.empty(); });
  if (!transforms) return {};
  auto spool = Spool::open(options_.spool, options_.spool_limit);
  if (!spool) return spool.error();
  spool_.emplace(std::move(*spool));
  return {};
}

/// What an earlier run left in the spool is sent at once.
void Run::plan_transform(Job& job, const metastore::FileRecord& file, const Route& route) {
  job.transformed = std::make_unique<Transformed>(
      Transformed{.route = &route,
                  .key = spool_key(file, route),
                  .spool = &spool_->root(),
                  .entry = {},
                  .source = job.source,
                  .is_shared = options_.routes->wanted_by(file.landing, file.path).size() > 1});
  auto found = spool_->find(job.transformed->key);
  if (!found) return;
  job.transformed->entry = std::move(found->name);
  job.source = found->content;
}

/// What some destination may still have to get stays.
Result<void> Run::tidy_spool() {
  if (!spool_ || spool_->is_empty()) return {};
  std::set<std::string, std::less<>> keys;
  using enum metastore::Standing;
  metastore::FileQuery undelivered;
  undelivered.standings = {kInProgress, kFailed, kPending};
  auto visited = metastore_.visit(
      undelivered,
      [&](const metastore::FileRecord& file, std::span<const metastore::Delivery> deliveries) {
        for (const auto name : options_.routes->wanted_by(file.landing, file.path)) {
          const auto* delivery = metastore::find_delivery(deliveries, name);
          const bool is_under_way = delivery != nullptr && delivery->claim_alive;
          if (!is_under_way && !is_deliverable(file, delivery, options_.max_attempts)) continue;
          const Route* route = options_.routes->find(file.landing, file.path, name);
          if (route != nullptr && !route->transforms.empty()) keys.insert(spool_key(file, *route));
        }
      });
  if (!visited) return visited;
  spool_->keep_only(keys);
  return {};
}

/// Of two files with one remote name the older one gets it: the other would replace it at once.
void Run::refuse_shared_names() {
  const bool may_share =
      options_.routes != nullptr || options_.landings.size() + options_.remote_landings.size() > 1;
  if (!may_share) return;
  std::unordered_map<std::string_view, const Job*> by_name;
  for (Job& job : batch_.jobs) {
    if (!is_open(job)) continue;
    const auto [first, is_new] = by_name.emplace(job.remote_path, &job);
    if (is_new) continue;
    refuse_name(job, fmt::format("its remote name, {}, is also that of {} in the same batch",
                                 job.remote_path, first->second->path));
  }
}

void Run::refuse_name(Job& job, std::string reason) {
  job.refused_here = true;
  end(job, Error{ErrorKind::kAbnormal, std::move(reason), 0});
}

void Run::end(Job& job, const Error& error) {
  end_job(job, std::make_unique<Error>(error));
  observer_.on_failed(outcome_of(job), error);
}

/// What is left to send of what an earlier run began counts only as far as it is left.
void Run::announce() {
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
  for (const Job& job : batch_.jobs) {
    if (!is_open(job)) continue;
    ++files;
    if (!job.spread) bytes += job.source.identity.size;
    if (job.spread) {
      for (const Range& range : job.spread->waiting) bytes += range.size();
    }
  }
  observer_.on_start(files, bytes);
}

void Run::deliver_files() {
  const bool at_once = options_.batch == BatchMode::kAllOrNothing;
  if (at_once) observer_.hold_deliveries();
  WorkQueue queue(options_.journals);
  RunContext shared = context(at_once ? Phase::kUpload : Phase::kDeliver);
  std::optional<TransformAhead> ahead;
  if (spool_) {
    ahead.emplace(*spool_, shared, queue);
    shared.on_content_done = [&](const Job& job) { ahead->on_content_done(job); };
  }
  for (Job& job : batch_.jobs) {
    if (!is_open(job)) continue;
    if (!is_content_known(job)) {
      ahead->add(job);
      continue;
    }
    if (job.transformed) ahead->hold(job);
    queue.add(job);
  }
  if (ahead) ahead->start();
  work_off(queue, shared, ahead ? &*ahead : nullptr);
  if (!at_once || stop_.stop_requested()) return;  // what a stop left stays pending
  if (is_all_uploaded(batch_.jobs) && session_) name_together();
  if (std::ranges::all_of(batch_.jobs, is_delivered) || stop_.stop_requested()) return;
  if (auto ready = need_session(); !ready) {
    summary_.lost = ready.error();
    return end_all(ready.error());
  }
  roll_back(batch_.jobs, context(Phase::kDeliver), *session_);
}

/// All files are at B: gives them their final names.
void Run::name_together() {
  note_existing_targets(batch_.jobs, *session_);
  WorkQueue queue(options_.journals);
  for (Job& job : batch_.jobs) queue.add_finish(job);
  work_off(queue, context(Phase::kDeliver));
}

void Run::work_off(WorkQueue& queue, const RunContext& context, TransformAhead* ahead) {
  Crew crew(context, queue);
  session_ = crew.run(std::move(*session_), std::move(ahead_));
  if (ahead != nullptr) ahead->stop();
  if (!crew.give_up_reason() || stop_.stop_requested()) return;
  summary_.lost = *crew.give_up_reason();
  end_open(*summary_.lost);
}

void Run::end_all(const Error& error) {
  for (Job& job : batch_.jobs) {
    if (is_open(job) || is_delivered(job)) end(job, error);
  }
}

void Run::end_open(const Error& error) {
  for (Job& job : batch_.jobs) {
    if (is_open(job) && !job.uploaded) end(job, error);
  }
}

/// Delivered files without a control file are of no use to B: they count as failed.
void Run::finish_with_control_file() {
  if (std::ranges::none_of(batch_.jobs, is_delivered)) return;
  const auto kept = keep(is_delivered);
  const auto path = kept ? push(*kept) : kept.error();
  if (path) {
    summary_.control_file = *path;
    return;
  }
  if (is_of_connection(path.error().kind)) summary_.lost = path.error();
  const Error error = path.error().with_context("control file");
  for (Job& job : batch_.jobs) {
    if (is_delivered(job)) end(job, error);
  }
}

Result<std::string> Run::push(const KeptControlFile& kept) {
  for (unsigned retry = 0;; ++retry) {
    auto pushed = try_to_push(kept);
    if (pushed || retry == options_.retries.limit || stop_.stop_requested()) return pushed;
    if (!is_retryable(pushed.error().kind)) return pushed;
    sleep_unless_stopped(backoff(options_.retries, retry), stop_);
  }
}

Result<std::string> Run::try_to_push(const KeptControlFile& kept) {
  if (auto ready = need_session(); !ready) return ready.error();
  const auto name = control_file_name(destination_, batch_.id, batch_.created);
  if (!name) return name.error();
  std::string path = join_remote(session_->control_directory, *name);
  Result<void> outcome;
  session_->client->spawn(
      store(push_control_file(*session_, kept, path, batch_.id, options_), outcome));
  if (auto ran = session_->client->run(); !ran) {
    session_.reset();
    return ran.error();
  }
  if (!outcome) return outcome.error();
  return path;
}

Result<void> Run::need_session() {
  if (session_) return {};
  auto session = open_session(destination_, options_, limiter_, stop_);
  if (!session) return session.error();
  session_ = std::move(*session);
  return {};
}

Result<KeptControlFile> Run::keep(bool (*is_listed)(const Job&)) {
  return keep_control_file(options_.control_files, make_control_file(batch_, is_listed));
}

Result<void> Run::record_outcomes() {
  // In groups, so that a very large batch needs no second copy of itself.
  constexpr std::size_t kGroupSize = 4096;
  std::vector<metastore::TransferRecord> group;
  for (auto job = batch_.jobs.begin(); job != batch_.jobs.end(); ++job) {
    if (!is_open(*job)) group.push_back(make_record(*job, batch_));
    const bool is_last = std::next(job) == batch_.jobs.end();
    if (group.size() < kGroupSize && !is_last) continue;
    if (auto appended = metastore_.append_transfers(group); !appended) return appended;
    group.clear();
  }
  return {};
}

void Run::tell_of_abnormal_sources() {
  if (!options_.on_abnormal) return;
  for (const Job& job : batch_.jobs) {
    if (!job.error || job.error->kind != ErrorKind::kAbnormal || job.refused_here) continue;
    const FileIdentity& identity =
        (job.transformed ? job.transformed->source : job.source).identity;
    const bool is_known = identity != FileIdentity{};
    options_.on_abnormal({.id = job.id,
                          .identity = is_known ? std::optional(identity) : std::nullopt,
                          .reason = job.error->message});
  }
}

/// Not before the deliveries are recorded: until then a journal spares the next run a whole file.
void Run::forget_journals() {
  for (const Job& job : batch_.jobs) {
    if (!is_delivered(job) || !goes_out_in_chunks(job)) continue;
    Journal::remove(options_.journals, job.id, destination_.name);
  }
}

}  // namespace

Result<std::string> control_file_name(const Destination& destination, std::string_view batch_id,
                                      Timestamp created) {
  if (!destination.control_name) return control_file_name(batch_id);
  return destination.control_name->render(
      NameTemplate::Batch{.id = batch_id, .destination = destination.name, .date = created});
}

Result<TransferSummary> deliver(Metastore& metastore, const Destination& destination,
                                const TransferOptions& options, Observer& observer,
                                StopToken& stop) {
  return Run(metastore, destination, options, observer, stop).execute();
}

}  // namespace ferry::transfer
