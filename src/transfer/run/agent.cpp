#include "ferry/transfer/agent.h"

#include <algorithm>

#include "ferry/base/file.h"
#include "ferry/base/hash.h"
#include "ferry/base/lock.h"
#include "ferry/base/log.h"
#include "ferry/base/stop_relay.h"
#include "transfer/batch/kept_control_file.h"
#include "transfer/batch/old_control_files.h"
#include "transfer/batch/reconciliation.h"
#include "transfer/deliver/backoff.h"
#include "transfer/deliver/many_handles.h"
#include "transfer/deliver/old_parts.h"
#include "transfer/deliver/stale_parts.h"
#include "transfer/run/agent_core.h"
#include "transfer/run/areas.h"
#include "transfer/run/round.h"

namespace ferry::transfer {
namespace {

using Clock = std::chrono::steady_clock;
using metastore::Metastore;

/// For how long a connection without work is kept.
constexpr std::chrono::seconds kKeepSession{30};
/// How often an agent that follows looks whether what failed may be tried again.
constexpr std::chrono::seconds kLookAgain{30};
/// How often an agent that follows looks for control files that are too old.
constexpr std::chrono::hours kRemoveOldAgain{1};
/// Between two looks whether another agent has brought the batches of dead ones to their end.
constexpr std::chrono::milliseconds kCompletionPoll{100};
/// Rounds that a single run makes because agents die beside it.
constexpr int kMostRounds = 5;
/// Agents of a single run that follow one another because their claims are lost.
constexpr unsigned kMostAgents = 5;

class Agent {
 public:
  Agent(Metastore& metastore, const Destination& destination, const TransferOptions& options,
        Observer& observer, const Following* following, StopToken& stop)
      : core_(metastore, destination, options, observer, following, stop) {
    summary_.destination = destination.name;
  }

  Outcome<TransferSummary> run();
  /// What it had in hand may be somebody else's: another agent has to begin anew.
  bool has_lost_claims() const { return core_.has_lost_claims(); }

 private:
  Outcome<void> go_round();
  Outcome<void> wait_for_completion();
  Outcome<bool> has_dead_batches();
  void leave_alone(const fs::path& journal, const Error& error);
  Result<std::shared_ptr<metastore::AgentPresence>> stand_in_for(const BatchInfo& batch);
  Outcome<bool> find_files();
  Outcome<void> reach_servers(std::vector<Area>& areas);
  Outcome<void> deliver_round(bool has_files);
  void begin_session();
  Outcome<void> connect();
  Outcome<void> bring_to_end();
  void tidy_destination();
  void remove_what_is_old();
  Outcome<void> open_spool();
  Outcome<void> tidy_spool();
  void wait_for_files();
  void pause(unsigned stuck);
  bool is_ending() const;

  AgentCore core_;
  TransferSummary summary_;
  std::set<fs::path> left_alone_;       // journals that cannot be read
  std::optional<FileLock> completing_;  // batches of agents that have died
  Clock::time_point idle_since_;
  std::optional<Clock::time_point> old_removed_;
  const std::function<void(const BatchSummary&)> on_completed_ = [this](const BatchSummary& batch) {
    if (core_.following == nullptr) return summary_.add(batch);
    core_.following->on_batch(batch);
  };
};

Outcome<TransferSummary> Agent::run() {
  const auto started = Clock::now();
  if (auto opened = open_spool(); !opened) return std::unexpected(opened.error());
  [[maybe_unused]] const auto pruned =
      remove_old_control_files(core_.options.control_files, now() - metastore::kKeepSettled);
  if (core_.following != nullptr) {
    auto notice = core_.metastore.watch_changes();
    if (!notice) return fail(notice.error(), Origin::kMetastore);
    core_.notice = std::move(*notice);
  }
  auto ended = go_round();
  if (has_lost_claims()) return summary_;
  if (!ended && ended.error().error.kind == ErrorKind::kCancelled) {
    core_.was_cut_short = true;  // wherever the stop was heard
  } else if (!ended) {
    return std::unexpected(ended.error());
  }
  core_.feed.tell_of_left_out();
  if (auto tidied = tidy_spool(); !tidied) return std::unexpected(tidied.error());
  if (const auto& failure = core_.closing.record_failure()) return std::unexpected(*failure);
  if (core_.failure) return std::unexpected(*core_.failure);
  const BatchClosing::Left left = core_.closing.left();
  summary_.unlisted = left.unlisted;
  summary_.failed += left.failed;
  summary_.selected += left.failed + left.unlisted;
  summary_.lost = core_.lost ? core_.lost : core_.closing.lost();
  summary_.duration = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - started);
  summary_.was_stopped = core_.was_cut_short;
  return summary_;
}

/// Once, or until somebody ends it.
Outcome<void> Agent::go_round() {
  unsigned stuck = 0;  // rounds, one after another, in which a batch did not come to its end
  for (int round = 1;; ++round) {
    if (core_.notice) core_.notice->clear();  // what is registered from here on wakes us
    const auto failures = core_.closing.failures();
    const auto dead = has_dead_batches();
    if (!dead) return std::unexpected(dead.error());
    if (!*dead) {
      core_.predecessors.let_all_go();
      completing_.reset();
    }
    const auto files = find_files();
    if (!files) return std::unexpected(files.error());
    if (*dead || *files) {
      if (auto delivered = deliver_round(*files); !delivered) return delivered;
      idle_since_ = Clock::now();
    }
    tidy_destination();
    remove_what_is_old();
    if (is_ending() || core_.failure || has_lost_claims()) return {};
    stuck = core_.closing.failures() > failures ? stuck + 1 : 0;
    // What we have claimed and not delivered is pending again once our batch was brought to its end
    // as a dead agent's.
    if (stuck > 0) core_.presence.reset();
    if (core_.following == nullptr) {
      // What dead agents held could not be seen before their batches were brought to their end.
      const bool saw_all = !*dead && !core_.feed.saw_dead_batches();
      if (saw_all || round == kMostRounds || stuck > core_.options.retries.limit) return {};
    }
    if (stuck > 0) {
      pause(stuck);
    } else if (core_.following != nullptr && !*dead && !*files) {
      wait_for_files();
    }
  }
}

/// What keeps a batch from its end may pass.
void Agent::pause(unsigned stuck) {
  constexpr Retries kWhileFollowing{.limit = 0,
                                    .first_delay = std::chrono::seconds(1),
                                    .longest_delay = std::chrono::seconds(10)};
  const bool follows = core_.following != nullptr;
  const Retries& retries = follows ? kWhileFollowing : core_.options.retries;
  const int finish = follows ? core_.following->finish.fd() : -1;
  const auto until = Clock::now() + backoff(retries, stuck - 1);
  while (Clock::now() < until && !is_ending() && !has_lost_claims()) {
    core_.wait.until(until, core_.and_losses({core_.stop.fd(), finish}));
  }
}

bool Agent::is_ending() const {
  return core_.stop.stop_requested() ||
         (core_.following != nullptr && core_.following->finish.stop_requested());
}

void Agent::wait_for_files() {
  core_.following->on_idle();
  auto until = Clock::now() + kLookAgain;
  if (const auto due = core_.feed.next_due())
    until = std::min(until, Clock::now() + (*due - now()));
  core_.wait.until(
      until, core_.and_losses({core_.stop.fd(), core_.following->finish.fd(), core_.notice->fd()}));
  if (core_.session && Clock::now() > idle_since_ + kKeepSession) core_.session.reset();
}

// What there is to do.

/// One agent at a time brings the batches of dead ones to their end. Until it has, nobody can tell
/// which of their files are to be sent.
Outcome<void> Agent::wait_for_completion() {
  Hasher hasher(HashAlgorithm::kMd5);  // for a short name, not for secrecy
  hasher.update(as_bytes(core_.destination.name));
  if (auto made = make_directories(core_.options.control_files); !made) {
    return fail(made.error(), Origin::kMetastore);
  }
  const fs::path path =
      core_.options.control_files / ("." + hasher.finish().to_string().substr(4) + ".completing");
  while (!core_.stop.stop_requested()) {
    auto lock = FileLock::try_acquire(path);
    if (!lock) return fail(lock.error(), Origin::kMetastore);
    completing_ = std::move(*lock);
    if (completing_) return {};
    sleep_unless_stopped(kCompletionPoll, core_.stop);
  }
  return fail(make_error(ErrorKind::kCancelled, "stopped"));
}

/// Those of this destination's agents. While we have their journals nobody else completes them.
Outcome<bool> Agent::has_dead_batches() {
  if (auto waited = wait_for_completion(); !waited) return std::unexpected(waited.error());
  const auto journals = BatchJournal::find(core_.options.control_files);
  if (!journals) return fail(journals.error(), Origin::kMetastore);
  for (const fs::path& file : *journals) {
    auto journal = BatchJournal::take_over(file);
    if (!journal) {
      leave_alone(file, journal.error());
      continue;
    }
    if (!*journal || (*journal)->info().destination != core_.destination.name) continue;
    remove_unfinished_control_files(core_.options.control_files, (*journal)->info().id);
    auto batch = std::make_unique<Batch>(std::move(*journal));
    const auto presence = stand_in_for(batch->info());
    if (!presence && presence.error().kind == ErrorKind::kBusy) continue;  // it runs, after all
    if (!presence) return fail(presence.error(), Origin::kMetastore);
    batch->set_presence(*presence);
    const auto left = let_go_of_what_is_lost(core_.metastore, *batch, core_.batch_context);
    if (!left) return fail(left.error(), Origin::kMetastore);
    core_.closing.add(std::move(batch), BatchClosing::Origin::kDeadAgents);
  }
  return !core_.closing.is_empty();
}

/// Nobody can tell which files it is of, nor to which destination they were on their way.
void Agent::leave_alone(const fs::path& journal, const Error& error) {
  if (!left_alone_.insert(journal).second) return;
  log::error("batch journal left alone", {{"file", journal.string()},
                                          {"error", error.message},
                                          {"next", "move it away once you have looked at it"}});
  if (!summary_.unreadable) summary_.unreadable = error;
}

Result<std::shared_ptr<metastore::AgentPresence>> Agent::stand_in_for(const BatchInfo& batch) {
  if (core_.presence && core_.presence->name() == batch.agent) return core_.presence;
  return core_.predecessors.stand_in_for(core_.metastore, batch);
}

/// What lies in landing areas that are there and answer. Of the others nothing is claimed: it costs
/// no attempt. An error if nothing is left for that reason.
Outcome<bool> Agent::find_files() {
  core_.roots = LandingRoots::open(core_.options.landings);
  core_.feed.begin(core_.roots);
  core_.readable.clear();
  auto areas = find_areas(core_.feed, core_.roots, core_.options);
  if (!areas) return std::unexpected(areas.error());
  const auto connected = reach_servers(*areas);
  std::optional<Error> failure;
  for (const auto& [landing, reached] : *areas) {
    if (!reached && reached.error().kind == ErrorKind::kCancelled) return fail(reached.error());
    core_.options.on_landing(landing, reached ? nullptr : &reached.error());
    if (reached) {
      core_.readable.insert(landing);
    } else {
      failure = reached.error();
    }
  }
  if (core_.readable.empty() && failure) return fail(*failure, Origin::kDestination);
  if (!connected) return std::unexpected(connected.error());
  if (!core_.readable.empty()) {
    core_.feed.rewind(core_.readable);
    return true;
  }
  if (core_.following != nullptr) return false;
  // For what is to be said of files that lie elsewhere.
  auto visited = core_.feed.visit({}, [](const metastore::FileRecord&) {});
  if (!visited) return std::unexpected(visited.error());
  return false;
}

/// A single run dials the destination meanwhile: each connection takes several round trips. One
/// that follows does not: it would do so for nothing each time that they do not answer.
Outcome<void> Agent::reach_servers(std::vector<Area>& areas) {
  const auto servers = areas_on_servers(areas, core_.roots);
  if (servers.empty()) return {};
  if (!core_.session || !core_.session->is_connected()) begin_session();
  start_reaching(servers, *core_.session);
  if (core_.following == nullptr && !core_.session->client) return connect();
  const StopRelay stopping(core_.stop, core_.cut);
  core_.session->loop->run();
  return {};
}

// Doing it.

Outcome<void> Agent::deliver_round(bool has_files) {
  // Before anything is claimed: a destination that does not answer changes nothing.
  if (auto connected = connect(); !connected) return connected;
  if (auto completed = bring_to_end(); !completed) return completed;
  if (has_lost_claims()) return {};
  core_.predecessors.let_go(core_.options.control_files);
  completing_.reset();
  if (!has_files) return {};
  if (is_ending()) {
    core_.was_cut_short = true;
    return {};
  }
  if (!core_.presence) {
    auto presence = core_.metastore.join();
    if (!presence) return fail(presence.error(), Origin::kMetastore);
    core_.presence = std::move(*presence);
  }
  if (auto removed = remove_stale_parts(core_.metastore, core_.batch_context, *core_.session,
                                        core_.presence->name());
      !removed) {
    return fail(removed.error(), Origin::kMetastore);
  }
  Round(core_, on_completed_).deliver();
  if (has_lost_claims()) return {};
  // What is left of the batches is written down even after a stop.
  [[maybe_unused]] const auto ended = Round::bring_to_end(
      core_, core_.stop.stop_requested() ? core_.last_cut : core_.cut, on_completed_);
  return {};
}

void Agent::begin_session() {
  core_.session.emplace(core_.cut);
}

Outcome<void> Agent::connect() {
  if (core_.session && core_.session->is_connected()) return {};
  if (!core_.session || core_.session->client) begin_session();
  const StopRelay stopping(core_.stop, core_.cut);
  auto connected =
      transfer::connect(*core_.session, core_.destination, core_.options, core_.limiter);
  if (!connected) {
    core_.session.reset();
    return fail(connected.error(), Origin::kDestination);
  }
  core_.directories = {core_.session->directory, core_.session->control_directory};
  core_.many_handles.emplace(KnownServers(core_.options.servers), core_.destination.name);
  return {};
}

/// Of what a lost connection may have done since.
void Agent::tidy_destination() {
  const KnownServers servers(core_.options.servers);
  if (!servers.has_remains(core_.destination.name) || core_.stop.stop_requested()) return;
  if (!connect()) return;  // another run will
  [[maybe_unused]] const auto tidied = core_.session->loop->wait_for(
      servers.remove_remains(*core_.session->client, core_.destination.name));
}

/// Of control files and parts, while there is a connection anyway.
void Agent::remove_what_is_old() {
  const Destination& destination = core_.destination;
  const bool is_due = !old_removed_ || Clock::now() >= *old_removed_ + kRemoveOldAgain;
  const bool may_do_it = core_.session && core_.session->is_connected() &&
                         !core_.stop.stop_requested() && !has_lost_claims();
  if (!is_due || !may_do_it) return;
  old_removed_ = Clock::now();
  const auto complain = [&](std::string_view event, const Result<void>& removed) {
    if (removed) return;
    log::warning(event, {{"destination", destination.name}, {"error", removed.error().message}});
  };
  if (destination.control_keep.count() > 0) {
    complain("old control files not removed",
             core_.session->loop->wait_for(prune_control_directory(*core_.session, destination)));
  }
  if (destination.part_keep.count() > 0 && core_.session->is_connected()) {
    complain("old part files not removed",
             core_.session->loop->wait_for(
                 remove_old_parts(*core_.session, destination, core_.options, core_.metastore)));
  }
}

Outcome<void> Agent::bring_to_end() {
  const auto ended = Round::bring_to_end(core_, core_.cut, on_completed_);
  if (!ended) return fail(ended.error(), Origin::kDestination);
  return {};
}

// The spool.

Outcome<void> Agent::open_spool() {
  if (core_.spool) return {};
  auto spool = transfer::open_spool(core_.options);
  if (!spool) return fail(spool.error());
  core_.spool = std::move(*spool);
  return {};
}

/// What some destination may still have to get stays.
Outcome<void> Agent::tidy_spool() {
  if (!core_.spool || core_.spool->is_empty()) return {};
  std::set<std::string, std::less<>> keys;
  metastore::FileQuery query;
  query.standings = {metastore::Standing::kPending, metastore::Standing::kInProgress,
                     metastore::Standing::kFailed};
  const Routes& routes = *core_.options.routes;
  auto visited = core_.metastore.visit(query, [&](const metastore::FileRecord& file, auto) {
    for (const auto name : routes.wanted_by(file.landing, file.path)) {
      const Route* route = routes.find(file.landing, file.path, name);
      if (route != nullptr && !route->transforms.empty()) keys.insert(spool_key(file, *route));
    }
  });
  if (!visited) return fail(visited.error(), Origin::kMetastore);
  core_.spool->keep_only(keys);
  return {};
}

}  // namespace

Result<std::shared_ptr<Spool>> open_spool(const TransferOptions& options) {
  if (options.routes == nullptr) return nullptr;
  const auto& routes = options.routes->all();
  if (std::ranges::all_of(routes, &std::vector<TransformSettings>::empty, &Route::transforms)) {
    return nullptr;
  }
  auto spool = Spool::open(options.spool, options.spool_limit);
  if (!spool) return spool.error();
  return std::shared_ptr<Spool>(std::move(*spool));
}

void TransferSummary::add(const BatchSummary& batch) {
  batches.push_back(batch);
  selected += batch.selected;
  successful += batch.successful;
  failed += batch.failed;
  skipped += batch.skipped;
  bytes += batch.bytes;
}

Result<std::string> control_file_name(const Destination& destination, std::string_view batch_id,
                                      Timestamp created) {
  if (!destination.control_name) return control_file_name(batch_id, destination.control);
  return destination.control_name->render(
      NameTemplate::Batch{.id = batch_id, .destination = destination.name, .date = created});
}

namespace {

/// An agent whose claims are lost is followed by another, which brings to its end what the first
/// had begun and still can be brought to its end.
Outcome<TransferSummary> run_agents(Metastore& metastore, const Destination& destination,
                                    const TransferOptions& options, Observer& observer,
                                    const Following* following, StopToken& stop) {
  std::vector<BatchSummary> completed;
  for (unsigned agents = 1;; ++agents) {
    Agent agent(metastore, destination, options, observer, following, stop);
    auto summary = agent.run();
    if (!agent.has_lost_claims()) {
      if (!summary || completed.empty()) return summary;
      for (const BatchSummary& batch : completed) summary->add(batch);
      return summary;
    }
    std::ranges::copy(summary->batches, std::back_inserter(completed));
    if (following == nullptr && agents == kMostAgents) {
      return fail(make_error(ErrorKind::kBusy,
                             "the agent's claims were lost {} times: the database took it for dead",
                             agents),
                  Origin::kMetastore);
    }
    log::warning("agent begins anew",
                 {{"destination", destination.name}, {"reason", "its claims were lost"}});
    if (!sleep_unless_stopped(backoff(options.retries, std::min(agents, 8U)), stop)) {
      TransferSummary stopped;
      stopped.destination = destination.name;
      stopped.was_stopped = true;
      for (const BatchSummary& batch : completed) stopped.add(batch);
      return stopped;
    }
  }
}

}  // namespace

Outcome<TransferSummary> deliver(Metastore& metastore, const Destination& destination,
                                 const TransferOptions& options, Observer& observer,
                                 StopToken& stop) {
  return run_agents(metastore, destination, options, observer, nullptr, stop);
}

Outcome<void> deliver_on(Metastore& metastore, const Destination& destination,
                         const TransferOptions& options, Observer& observer,
                         const Following& following, StopToken& stop) {
  const auto summary = run_agents(metastore, destination, options, observer, &following, stop);
  if (!summary) return std::unexpected(summary.error());
  return {};
}

}  // namespace ferry::transfer
