#include "ferry/transfer/after_delivery.h"

#include <unistd.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "ferry/base/intent_log.h"
#include "ferry/base/log.h"
#include "transfer/after_delivery/take_away.h"
#include "transfer/after_delivery/take_away_at_server.h"
#include "transfer/after_delivery/take_away_lines.h"
#include "transfer/source/landing_roots.h"

namespace ferry::transfer {
namespace {

using metastore::Delivery;
using metastore::FileRecord;
using metastore::FileState;

/// Rows that the registry gets at once.
constexpr std::size_t kGroupSize = 1024;

struct Candidate {
  FileRecord file;
  const Route* route = nullptr;
};

std::string reason_for(const TakeAway& what, Taken taken) {
  if (taken == Taken::kGone) return "delivered, and gone from the landing area";
  if (what.deletes()) return "delivered, and deleted";
  return fmt::format("delivered, and archived in {}", what.archive);
}

bool everybody_has(std::span<const Delivery> deliveries,
                   const std::vector<std::string_view>& destinations) {
  return std::ranges::all_of(destinations, [&](std::string_view destination) {
    const Delivery* delivery = metastore::find_delivery(deliveries, destination);
    return delivery != nullptr && delivery->status == metastore::TransferStatus::kSuccessful;
  });
}

/// Of each path the last version only: what an older one was has been replaced.
Result<std::vector<Candidate>> find_candidates(metastore::Metastore& metastore,
                                               const Routes& routes, const LandingRoots& roots) {
  std::vector<Candidate> candidates;
  metastore::FileQuery due;
  due.due_to_go = true;
  due.latest_versions = true;
  const auto look_at = [&](const FileRecord& file, std::span<const Delivery> deliveries) {
    if (roots.find(file.landing) == nullptr) return;
    const Route* route = routes.route_after_delivery(file.landing, file.path);
    if (route == nullptr || route->after == AfterDelivery::kKeep) return;
    if (!everybody_has(deliveries, routes.wanted_by(file.landing, file.path))) return;
    candidates.push_back({file, route});
  };
  if (auto visited = metastore.visit(due, look_at); !visited) return visited.error();
  return candidates;
}

TakeAway to_take_away(const Candidate& candidate) {
  return {.file = candidate.file,
          .archive = candidate.route->archive.string(),
          .private_name = make_private_name()};
}

/// Takes files away, wherever they are, and tells of each.
class TakingAway {
 public:
  TakingAway(metastore::Metastore& metastore, const LandingRoots& roots, const fs::path& intents,
             StopToken& stop)
      : metastore_(metastore), roots_(roots), intents_(intents), stop_(stop) {}

  Result<void> settle(std::vector<TakeAway> files) {
    auto log = IntentLog::create(intents_, to_lines(files));
    if (!log) return log.error();
    // Otherwise it is finished the next time.
    if (take(files)) log->remove();
    for (const TakeAway& what : files) note(what);
    return tell_registry();
  }

  Result<void> finish_earlier() {
    return IntentLog::visit_orphans(intents_, [&](const IntentLog::Orphan& orphan) -> Result<void> {
      std::vector<TakeAway> files = parse_take_aways(orphan.text);
      for (TakeAway& what : files) what.is_under_way = true;
      const bool is_done = take(files);
      // What is not there was finished, or never begun.
      for (const TakeAway& what : files) {
        if (!what.outcome || *what.outcome == Taken::kAway) note(what);
      }
      if (auto told = tell_registry(); !told) return told;
      if (is_done) ::unlink(orphan.path.c_str());
      return {};
    });
  }

  const SourcesTaken& taken() const { return taken_; }

 private:
  /// False if something may be half-way, or not be durable.
  bool take(std::span<TakeAway> files) {
    std::map<const LandingRoot*, std::vector<TakeAway*>> by_root;
    for (TakeAway& what : files) {
      if (const auto* root = roots_.find(what.file.landing)) by_root[root].push_back(&what);
    }
    bool is_durable = true;
    for (auto& [root, there] : by_root) {
      if (root->is_remote()) {
        take_there(*root->location(), there);
      } else {
        is_durable = take_here(root->fd(), there) && is_durable;
      }
    }
    return is_durable && std::ranges::none_of(files, &TakeAway::is_under_way);
  }

  bool take_here(int root, std::span<TakeAway* const> files) {
    for (TakeAway* what : files) take_away(root, *what);
    const auto synced = sync_taken(root, files);
    if (!synced) tell_of_loss(synced.error());
    return synced.has_value();
  }

  void take_there(const sftp::Location& location, std::span<TakeAway* const> files) {
    if (stop_.stop_requested()) return;
    const auto [known, is_new] = takers_.try_emplace(&location);
    if (is_new) known->second = ServerTaker::connect(location, stop_);
    Result<ServerTaker>& taker = *known->second;
    if (!taker) {
      if (is_new) tell_of_loss(taker.error());
      return;
    }
    const auto survived = taker->take(files);
    if (survived) return;
    for (TakeAway* what : files) {
      if (!what->outcome) what->outcome = TakeAway{}.outcome;
    }
    tell_of_loss(survived.error());
    taker = survived.error();
  }

  /// Once for all the files at a server.
  void tell_of_loss(const Error& error) {
    keep_failure("", error);
    log::warning("delivered files not archived or deleted", {{"error", error.message}});
  }

  void keep_failure(const std::string& path, const Error& error) {
    if (!taken_.failure.empty()) return;
    taken_.failed_path = path;
    taken_.failure = error.message;
  }

  void note(const TakeAway& what) {
    const FileRecord& file = what.file;
    if (!what.outcome) {
      ++taken_.failed;
      if (what.outcome.error().kind == ErrorKind::kCancelled) return;  // said once for all of them
      keep_failure(file.path, what.outcome.error());
      log::warning(what.deletes() ? "delivered file not deleted" : "delivered file not archived",
                   {{"path", file.path}, {"id", file.id}, {"error", what.outcome.error().message}});
      return;
    }
    const Taken taken = *what.outcome;
    if (taken == Taken::kNewer) return;  // the watcher will find and register it
    if (taken == Taken::kGone && roots_.find(file.landing)->is_unmounted(file)) return;
    changes_.push_back({file.id, FileState::kMissing, reason_for(what, taken)});
    if (taken == Taken::kGone) return;
    ++(what.deletes() ? taken_.deleted : taken_.archived);
    log::info(what.deletes() ? "deleted after delivery" : "archived after delivery",
              {{"path", file.path}, {"id", file.id}});
  }

  Result<void> tell_registry() {
    if (changes_.empty()) return {};
    const auto changed = metastore_.change_states(std::exchange(changes_, {}));
    return changed ? Result<void>() : changed.error();
  }

  metastore::Metastore& metastore_;
  const LandingRoots& roots_;
  const fs::path& intents_;
  StopToken& stop_;
  SourcesTaken taken_;
  std::vector<metastore::StateChange> changes_;
  std::map<const sftp::Location*, std::optional<Result<ServerTaker>>> takers_;
};

}  // namespace

Result<SourcesTaken> take_sources_away(metastore::Metastore& metastore, const Routes& routes,
                                       const TakeSourcesOptions& options, StopToken& stop) {
  const auto roots = LandingRoots::open(options.landings);
  TakingAway taking(metastore, roots, options.intents, stop);
  if (auto finished = taking.finish_earlier(); !finished) return finished.error();
  const bool keeps_all = std::ranges::all_of(
      routes.all(), [](const Route& route) { return route.after == AfterDelivery::kKeep; });
  if (keeps_all) return taking.taken();
  const auto candidates = find_candidates(metastore, routes, roots);
  if (!candidates) return candidates.error();
  for (std::span<const Candidate> left = *candidates; !left.empty();) {
    const auto group = left.first(std::min(kGroupSize, left.size()));
    std::vector<TakeAway> files;
    for (const Candidate& candidate : group) files.push_back(to_take_away(candidate));
    if (auto settled = taking.settle(std::move(files)); !settled) return settled.error();
    left = left.subspan(group.size());
  }
  return taking.taken();
}

}  // namespace ferry::transfer
