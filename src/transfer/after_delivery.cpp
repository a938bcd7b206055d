#include "ferry/transfer/after_delivery.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "ferry/base/log.h"
#include "transfer/landing_roots.h"
#include "transfer/take_away.h"
#include "transfer/take_away_at_server.h"

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
  const LandingRoot* landing = nullptr;
};

bool deletes(const Candidate& candidate) {
  return candidate.route->after == AfterDelivery::kDelete;
}

std::string reason_for(const Candidate& candidate, Taken taken) {
  if (taken == Taken::kGone) return "delivered, and gone from the landing area";
  if (deletes(candidate)) return "delivered, and deleted";
  return fmt::format("delivered, and archived in {}", candidate.route->archive.string());
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
    const LandingRoot* landing = roots.find(file.landing);
    if (landing == nullptr) return;
    const Route* route = routes.route_after_delivery(file.landing, file.path);
    if (route == nullptr || route->after == AfterDelivery::kKeep) return;
    if (!everybody_has(deliveries, routes.wanted_by(file.landing, file.path))) return;
    candidates.push_back({file, route, landing});
  };
  if (auto visited = metastore.visit(due, look_at); !visited) return visited.error();
  return candidates;
}

Result<Taken> take_here(const Candidate& candidate) {
  const int root = candidate.landing->directory.get();
  if (deletes(candidate)) return delete_source(root, candidate.file);
  return archive_source(root, candidate.file, candidate.route->archive);
}

/// Takes files away, wherever they are, and tells of each.
class Settling {
 public:
  Settling(metastore::Metastore& metastore, StopToken& stop) : metastore_(metastore), stop_(stop) {}

  Result<void> settle(std::span<const Candidate> group) {
    std::map<const sftp::Location*, std::vector<const Candidate*>> at_servers;
    for (const Candidate& candidate : group) {
      if (candidate.landing->is_remote()) {
        at_servers[candidate.landing->location].push_back(&candidate);
      } else {
        note(candidate, take_here(candidate));
      }
    }
    for (const auto& [location, candidates] : at_servers) take_there(*location, candidates);
    const auto changed = metastore_.change_states(std::exchange(changes_, {}));
    return changed ? Result<void>() : changed.error();
  }

  const Settled& settled() const { return settled_; }

 private:
  void take_there(const sftp::Location& location, std::span<const Candidate* const> candidates) {
    if (stop_.stop_requested()) return;
    const auto [known, is_new] = takers_.try_emplace(&location);
    if (is_new) known->second = ServerTaker::connect(location, stop_);
    Result<ServerTaker>& taker = *known->second;
    if (!taker) {
      settled_.failed += candidates.size();
      if (is_new) tell_of_loss(taker.error());
      return;
    }
    std::vector<TakeAway> files;
    for (const Candidate* one : candidates) {
      files.push_back({.file = &one->file, .archive = one->route->archive.string()});
    }
    const auto survived = taker->take(files);
    for (std::size_t i = 0; i < files.size(); ++i) {
      if (survived || files[i].outcome) {
        note(*candidates[i], files[i].outcome);
      } else {
        ++settled_.failed;
      }
    }
    if (survived) return;
    tell_of_loss(survived.error());
    taker = survived.error();
  }

  /// Once for all the files at a server.
  static void tell_of_loss(const Error& error) {
    log::warning("delivered files not archived or deleted", {{"error", error.message}});
  }

  void note(const Candidate& candidate, const Result<Taken>& taken) {
    const FileRecord& file = candidate.file;
    if (!taken) {
      ++settled_.failed;
      log::warning(
          deletes(candidate) ? "delivered file not deleted" : "delivered file not archived",
          {{"path", file.path}, {"id", file.id}, {"error", taken.error().message}});
      return;
    }
    if (*taken == Taken::kNewer) return;  // the watcher will find and register it
    changes_.push_back({file.id, FileState::kMissing, reason_for(candidate, *taken)});
    if (*taken == Taken::kGone) return;
    ++(deletes(candidate) ? settled_.deleted : settled_.archived);
    log::info(deletes(candidate) ? "deleted after delivery" : "archived after delivery",
              {{"path", file.path}, {"id", file.id}});
  }

  metastore::Metastore& metastore_;
  StopToken& stop_;
  Settled settled_;
  std::vector<metastore::StateChange> changes_;
  std::map<const sftp::Location*, std::optional<Result<ServerTaker>>> takers_;
};

}  // namespace

Result<Settled> settle_sources(metastore::Metastore& metastore, const Routes& routes,
                               const std::map<std::string, fs::path>& landings,
                               const std::map<std::string, sftp::Location>& remote_landings,
                               StopToken& stop) {
  const bool keeps_all = std::ranges::all_of(
      routes.all(), [](const Route& route) { return route.after == AfterDelivery::kKeep; });
  if (keeps_all) return Settled{};
  const auto roots = LandingRoots::open(landings, remote_landings);
  if (!roots) return roots.error();
  const auto candidates = find_candidates(metastore, routes, *roots);
  if (!candidates) return candidates.error();
  Settling settling(metastore, stop);
  for (std::span<const Candidate> left = *candidates; !left.empty();) {
    const auto group = left.first(std::min(kGroupSize, left.size()));
    if (auto settled = settling.settle(group); !settled) return settled.error();
    left = left.subspan(group.size());
  }
  return settling.settled();
}

}  // namespace ferry::transfer
