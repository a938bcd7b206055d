#include "app/delivery/transfer_following.h"

#include <fmt/format.h>
#include <poll.h>

#include <array>
#include <map>
#include <mutex>
#include <ranges>
#include <set>
#include <thread>
#include <utility>

#include "app/config/open_store.h"
#include "app/config/state_directory.h"
#include "app/delivery/follow.h"
#include "app/delivery/outage_report.h"
#include "app/delivery/transfer_ending.h"
#include "app/delivery/transfer_run.h"
#include "app/output.h"
#include "app/report/progress.h"
#include "app/report/standings.h"
#include "app/service_manager.h"
#include "ferry/base/log.h"
#include "ferry/base/units.h"
#include "ferry/base/writers.h"

namespace ferry::app {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// How long to wait for a metastore that does not answer, before it is asked again.
constexpr std::chrono::seconds kAskAgain{5};

/// Until MOST, or one of FDS is readable.
void wait_for(std::optional<milliseconds> most, std::initializer_list<int> fds) {
  std::vector<pollfd> waiting;
  for (const int fd : fds) waiting.push_back({fd, POLLIN, 0});
  ::poll(waiting.data(), waiting.size(), most ? static_cast<int>(most->count()) : -1);
}

/// What the agents tell, one at a time. Thread-safe.
class Report {
 public:
  Report(const Invocation& invocation, metastore::Metastore& store, const TransferPlan& plan)
      : invocation_(invocation), store_(store), plan_(plan) {}

  void tell_of_batch(const std::string& destination, const transfer::BatchSummary& batch,
                     std::uint64_t sent) {
    const std::scoped_lock lock(mutex_);
    unreachable_.erase(destination);
    clear_outage(destination, plan_.settings);
    settle();
    TransferEnding ending{.destination = destination, .summary = {}, .failure = {}, .sent = sent};
    ending.summary.add(batch);
    ending.summary.duration = batch.duration;
    look_at_left_out(ending);
    last_[destination] = status_of(ending);
    print_endings({ending}, untaken_, invocation_.arguments.has("json"));
    flush_output();
  }

  void tell_of_idleness(const std::string& destination) {
    const std::scoped_lock lock(mutex_);
    unreachable_.erase(destination);
    TransferEnding ending{.destination = destination, .summary = {}, .failure = {}};
    look_at_left_out(ending);
    if (unreachable_.empty()) service_manager::tell_status("waiting for files");
  }

  void tell_of_failure(const std::string& destination, const Failure& failure,
                       std::chrono::seconds wait) {
    const Error& error = failure.error;
    const std::scoped_lock lock(mutex_);
    unreachable_.insert(destination);
    note_outage(destination, failure, plan_.settings, wait);
    const std::string again = human_duration(wait);
    log::error("transfer failed", {{"destination", destination},
                                   {"kind", to_string(error.kind)},
                                   {"error", error.message},
                                   {"next_try_in", again}});
    service_manager::tell_status(
        fmt::format("{}: {}; next try in {}", destination, error.message, again));
  }

  ExitStatus worst() const {
    const std::scoped_lock lock(mutex_);
    ExitStatus status = untaken_.files > 0 ? ExitStatus::kSomeFailed : ExitStatus::kDone;
    for (const auto& [destination, last] : last_) status = worse_of(status, last);
    for (const auto& [destination, left_out] : left_out_) {
      if (left_out != LeftOut{}) status = worse_of(status, ExitStatus::kSomeFailed);
    }
    return status;
  }

 private:
  void settle() {
    const auto untaken = take_sources_away(store_, plan_, invocation_.stop);
    if (untaken) {
      untaken_ = *untaken;
    } else {
      log::warning("delivered files not archived or deleted", {{"error", untaken.error().message}});
    }
  }

  void look_at_left_out(TransferEnding& ending) {
    const auto left_out = find_left_out(ending.destination, store_, plan_);
    if (!left_out) return;  // whoever delivers hears of it, too
    ending.left_out = *left_out;
    if (std::exchange(left_out_[ending.destination], *left_out) != *left_out) {
      tell_of_left_out(ending);
    }
  }

  const Invocation& invocation_;
  metastore::Metastore& store_;
  const TransferPlan& plan_;
  mutable std::mutex mutex_;
  std::set<std::string> unreachable_;
  Untaken untaken_;
  std::map<std::string, ExitStatus> last_;
  std::map<std::string, LeftOut> left_out_;
};

/// Delivers to one destination until FINISH or STOP.
void follow_destination(const transfer::Destination& destination, metastore::Metastore& store,
                        const TransferPlan& plan, CountingObserver& observer, Report& report,
                        StopToken& finish, StopToken& stop) {
  Patience patience;
  std::uint64_t told = 0;
  const transfer::Following following{.finish = finish,
                                      .on_batch =
                                          [&](const transfer::BatchSummary& batch) {
                                            patience.reached();
                                            const std::uint64_t sent = observer.sent();
                                            report.tell_of_batch(destination.name, batch,
                                                                 sent - std::exchange(told, sent));
                                          },
                                      .on_idle =
                                          [&] {
                                            patience.reached();
                                            report.tell_of_idleness(destination.name);
                                          }};
  const auto deliver = [&]() -> Outcome<void> {
    const auto options = agent_options(destination, store, plan);
    if (!options) return fail(options.error());
    return transfer::deliver_on(store, destination, *options, observer, following, stop);
  };
  while (!stop.stop_requested() && !finish.stop_requested()) {
    const auto ended = deliver();
    if (ended || stop.stop_requested()) return;
    const auto wait = patience.failed();
    report.tell_of_failure(destination.name, ended.error(), wait);
    wait_for(wait, {stop.fd(), finish.fd()});
  }
}

enum class End : std::uint8_t { kStopped, kReload, kIdle };

class FollowingTransfer {
 public:
  FollowingTransfer(const Invocation& invocation, milliseconds exit_when_idle, TransferPlan plan,
                    std::unique_ptr<metastore::Metastore> store, Replan replan)
      : invocation_(invocation),
        exit_when_idle_(exit_when_idle),
        plan_(std::move(plan)),
        store_(std::move(store)),
        replan_(std::move(replan)) {}

  Outcome<ExitStatus> until_stopped() {
    const LeaseSignalGuard lease_signals;  // of sources that are looked at
    ReloadRequest never;
    ReloadRequest& hangup = replan_ ? invocation_.reload_request() : never;
    log::info("ready");
    service_manager::tell_ready();
    for (;;) {
      Report report(invocation_, *store_, plan_);
      const auto end = follow(report, hangup);
      if (end && *end == End::kReload) {
        reload();
        continue;
      }
      service_manager::tell_stopping();
      if (!end) return fail(end.error(), Origin::kMetastore);
      return *end == End::kStopped ? ExitStatus::kDone : report.worst();
    }
  }

 private:
  /// Each destination has an agent, and a thread, of its own.
  Result<End> follow(Report& report, ReloadRequest& hangup) {
    StopToken finish;
    const auto observers =
        make_observers(plan_.settings.log.format, state_directory(plan_.settings).agents());
    std::vector<std::jthread> agents;
    for (const transfer::Destination& destination : plan_.destinations) {
      agents.emplace_back([&, observer = std::shared_ptr(observers(destination.name))] {
        follow_destination(destination, *store_, plan_, *observer, report, finish,
                           invocation_.stop);
      });
    }
    const auto end = wait_for_end(hangup);
    finish.request_stop();
    agents.clear();
    return end;
  }

  Result<End> wait_for_end(ReloadRequest& hangup) const {
    IdleTime idle(exit_when_idle_);
    std::unique_ptr<metastore::ChangeNotice> changes;
    for (;;) {
      if (invocation_.stop.stop_requested()) return End::kStopped;
      if (hangup.take()) return End::kReload;
      const auto pending = has_something_to_do(changes);
      // The agents wait for a metastore that is away, too.
      if (!pending && !is_retryable(pending.error().kind)) return pending.error();
      idle.look(pending.value_or(true), Clock::now());
      if (idle.is_over(Clock::now())) return End::kIdle;
      wait_until(pending ? idle.ends() : std::optional(Clock::now() + kAskAgain), changes.get(),
                 hangup);
    }
  }

  /// As far as anybody wants to know. What changes from here on, CHANGES tells.
  Result<bool> has_something_to_do(std::unique_ptr<metastore::ChangeNotice>& changes) const {
    if (exit_when_idle_.count() == 0) return true;
    if (!changes) {
      auto watching = store_->watch_changes();
      if (!watching) return watching.error();
      changes = std::move(*watching);
    }
    changes->clear();
    const auto pending = store_->is_pending();
    if (!pending || !*pending) return pending;
    // What is pending in other landing areas is not ours to wait for.
    const auto names = plan_.options.landings | std::views::keys;
    const std::vector<std::string> landings(names.begin(), names.end());
    const auto open = has_any(*store_, {.landings = landings, .deliverable = true});
    if (!open || *open) return open;
    return has_any(*store_,
                   {.landings = landings, .standings = {metastore::Standing::kInProgress}});
  }

  void wait_until(std::optional<Clock::time_point> end, const metastore::ChangeNotice* changes,
                  const ReloadRequest& hangup) const {
    std::optional<milliseconds> most;
    if (end) most = std::max(std::chrono::ceil<milliseconds>(*end - Clock::now()), milliseconds(0));
    wait_for(most, {invocation_.stop.fd(), hangup.fd(), changes != nullptr ? changes->fd() : -1});
  }

  /// If the new configuration is of no use, the previous one stays in effect.
  void reload() {
    service_manager::tell_reloading();
    const auto reloaded = take_up(replan_());
    if (reloaded) {
      log::info("configuration reloaded", {{"destinations", plan_.destinations.size()}});
    } else {
      log::error("configuration not reloaded", {{"error", reloaded.error().message},
                                                {"next", "the previous one stays in effect"}});
    }
    service_manager::tell_ready();
  }

  Result<void> take_up(Outcome<TransferPlan> plan) {
    if (!plan) return plan.error().error;
    if (plan->settings.general.metastore != plan_.settings.general.metastore) {
      auto store = open_store_to_work(plan->settings, Access::kCreate);
      if (!store) return store.error().error;
      store_ = std::move(*store);
    }
    store_->set_demand(plan->demand());
    plan_ = std::move(*plan);
    return {};
  }

  const Invocation& invocation_;
  const milliseconds exit_when_idle_;
  TransferPlan plan_;
  std::unique_ptr<metastore::Metastore> store_;
  const Replan replan_;
};

}  // namespace

Outcome<ExitStatus> deliver_until_stopped(const Invocation& invocation, TransferPlan plan,
                                          std::unique_ptr<metastore::Metastore> store,
                                          milliseconds exit_when_idle, Replan replan) {
  return FollowingTransfer(invocation, exit_when_idle, std::move(plan), std::move(store),
                           std::move(replan))
      .until_stopped();
}

}  // namespace ferry::app
