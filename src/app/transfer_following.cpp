#include "app/transfer_following.h"

#include <fmt/format.h>

#include <map>
#include <set>
#include <utility>

#include "app/follow.h"
#include "app/output.h"
#include "app/routing.h"
#include "app/service_manager.h"
#include "app/setup.h"
#include "app/transfer_ending.h"
#include "app/transfer_run.h"
#include "app/units.h"
#include "ferry/base/log.h"

namespace ferry::app {
namespace {

class FollowingTransfer {
 public:
  FollowingTransfer(const Invocation& invocation, std::chrono::milliseconds exit_when_idle,
                    TransferPlan plan, std::unique_ptr<metastore::Metastore> store)
      : invocation_(invocation), plan_(std::move(plan)), store_(std::move(store)) {
    if (exit_when_idle.count() > 0) options_.exit_when_idle = exit_when_idle;
    options_.run = [this](std::size_t i) { return run(plan_.destinations[i]); };
    options_.on_error = [this](std::size_t i, const Error& error, std::chrono::seconds wait) {
      tell_of(plan_.destinations[i], error, wait);
    };
    options_.on_waiting = [this] {
      if (unreachable_.empty()) service_manager::tell_status("waiting for files");
    };
  }

  Outcome<ExitStatus> until_stopped() {
    ReloadRequest& hangup = reload_on_hangup();
    log::info("ready");
    service_manager::tell_ready();
    for (;;) {
      options_.destinations = plan_.destinations.size();
      const auto end = follow(*store_, options_, invocation_.stop, hangup);
      if (end && *end == FollowEnd::kReload) {
        reload();
        continue;
      }
      service_manager::tell_stopping();
      if (!end) return fail(end.error(), Origin::kMetastore);
      return *end == FollowEnd::kStopped ? ExitStatus::kDone : worst_of_last_runs();
    }
  }

 private:
  Result<std::uint64_t> run(const transfer::Destination& destination) {
    const TransferEnding ending = deliver_to(destination, *store_, plan_, invocation_.stop);
    if (ending.error) return *ending.error;
    unreachable_.erase(destination.name);
    settle_sources(*store_, plan_, invocation_.stop);
    if (std::exchange(left_out_[destination.name], ending.left_out) != ending.left_out) {
      tell_of_left_out(ending);
    }
    if (ending.summary.selected == 0) return 0;
    last_runs_[destination.name] = status_of(ending);
    print_endings({ending}, invocation_.arguments.has("json"));
    flush_output();
    return ending.summary.selected;
  }

  void tell_of(const transfer::Destination& destination, const Error& error,
               std::chrono::seconds wait) {
    unreachable_.insert(destination.name);
    const std::string again = human_duration(wait);
    log::error("transfer failed", {{"destination", destination.name},
                                   {"kind", to_string(error.kind)},
                                   {"error", error.message},
                                   {"next_try_in", again}});
    service_manager::tell_status(
        fmt::format("{}: {}; next try in {}", destination.name, error.message, again));
  }

  /// Where the new configuration is of no use, the previous one stays in effect.
  void reload() {
    service_manager::tell_reloading();
    const auto reloaded = take_up(make_transfer_plan(invocation_.arguments));
    if (reloaded) {
      unreachable_.clear();
      left_out_.clear();
      log::info("configuration reloaded", {{"destinations", plan_.destinations.size()}});
    } else {
      log::error("configuration not reloaded", {{"error", reloaded.error().message},
                                                {"next", "the previous one stays in effect"}});
    }
    service_manager::tell_ready();
  }

  Result<void> take_up(Outcome<TransferPlan> plan) {
    if (!plan) return plan.error().error;
    if (plan->settings.general.metastore == plan_.settings.general.metastore) {
      store_->set_demand(make_demand(plan->settings));
    } else {
      auto store = open_store(plan->settings, Access::kCreate);
      if (!store) return store.error().error;
      store_ = std::move(*store);
    }
    plan_ = std::move(*plan);
    return {};
  }

  ExitStatus worst_of_last_runs() const {
    ExitStatus status = ExitStatus::kDone;
    for (const auto& [destination, last] : last_runs_) status = worse_of(status, last);
    for (const auto& [destination, left_out] : left_out_) {
      if (left_out != LeftOut{}) status = worse_of(status, ExitStatus::kSomeFailed);
    }
    return status;
  }

  const Invocation& invocation_;
  TransferPlan plan_;
  std::unique_ptr<metastore::Metastore> store_;
  FollowOptions options_;
  std::set<std::string> unreachable_;
  std::map<std::string, ExitStatus> last_runs_;
  std::map<std::string, LeftOut> left_out_;
};

}  // namespace

Outcome<ExitStatus> deliver_until_stopped(const Invocation& invocation, TransferPlan plan,
                                          std::unique_ptr<metastore::Metastore> store,
                                          std::chrono::milliseconds exit_when_idle) {
  return FollowingTransfer(invocation, exit_when_idle, std::move(plan), std::move(store))
      .until_stopped();
}

}  // namespace ferry::app
