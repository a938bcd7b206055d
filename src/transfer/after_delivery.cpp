#include "ferry/transfer/after_delivery.h"

#include <algorithm>
#include <unordered_map>
#include <vector>

#include "ferry/base/log.h"
#include "transfer/landing_roots.h"
#include "transfer/take_away.h"

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

bool everybody_has(std::span<const Delivery> deliveries,
                   const std::vector<std::string_view>& destinations) {
  return std::ranges::all_of(destinations, [&](std::string_view destination) {
    const Delivery* delivery = metastore::find_delivery(deliveries, destination);
    return delivery != nullptr && delivery->status == metastore::TransferStatus::kSuccessful;
  });
}

/// Of each path the last version only: what an older one was has been replaced.
Result<std::vector<Candidate>> find_candidates(metastore::Metastore& metastore,
                                               const Routes& routes,
                                               const std::map<std::string, fs::path>& landings) {
  std::vector<Candidate> candidates;
  std::unordered_map<std::string, std::size_t> by_path;  // as they stand in CANDIDATES
  auto visited = metastore.visit([&](const FileRecord& file, std::span<const Delivery> deliveries) {
    const std::string key = file.landing + '\0' + file.path;
    if (const auto older = by_path.find(key); older != by_path.end()) {
      candidates[older->second].route = nullptr;
      by_path.erase(older);
    }
    if (file.state != FileState::kReady || !landings.contains(file.landing)) return;
    const Route* route = routes.route_after_delivery(file.landing, file.path);
    if (route == nullptr || route->after == AfterDelivery::kKeep) return;
    if (!everybody_has(deliveries, routes.wanted_by(file.landing, file.path))) return;
    by_path.emplace(key, candidates.size());
    candidates.push_back({file, route});
  });
  if (!visited) return visited.error();
  std::erase_if(candidates, [](const Candidate& candidate) { return candidate.route == nullptr; });
  return candidates;
}

std::string reason_for(const Candidate& candidate, Taken taken) {
  if (taken == Taken::kGone) return "delivered, and gone from the landing area";
  if (candidate.route->after == AfterDelivery::kDelete) return "delivered, and deleted";
  return fmt::format("delivered, and archived in {}", candidate.route->archive.string());
}

}  // namespace

Result<Settled> settle_sources(metastore::Metastore& metastore, const Routes& routes,
                               const std::map<std::string, fs::path>& landings) {
  const bool keeps_all = std::ranges::all_of(
      routes.all(), [](const Route& route) { return route.after == AfterDelivery::kKeep; });
  if (keeps_all) return Settled{};
  auto candidates = find_candidates(metastore, routes, landings);
  if (!candidates) return candidates.error();
  const LandingRoots::Locations none;  // what lies on servers is kept
  const auto roots = LandingRoots::open(landings, none);
  if (!roots) return roots.error();
  Settled settled;
  std::vector<metastore::StateChange> changes;
  for (const Candidate& candidate : *candidates) {
    const FileRecord& file = candidate.file;
    const bool deletes = candidate.route->after == AfterDelivery::kDelete;
    const LandingRoot* landing = roots->find(file.landing);
    const int root = landing != nullptr ? landing->directory.get() : -1;
    const auto taken =
        deletes ? delete_source(root, file) : archive_source(root, file, candidate.route->archive);
    if (!taken) {
      ++settled.failed;
      log::warning(deletes ? "delivered file not deleted" : "delivered file not archived",
                   {{"path", file.path}, {"id", file.id}, {"error", taken.error().message}});
      continue;
    }
    if (*taken == Taken::kNewer) continue;  // the watcher will find and register it
    changes.push_back({file.id, FileState::kMissing, reason_for(candidate, *taken)});
    if (changes.size() == kGroupSize) {
      if (auto changed = metastore.change_states(changes); !changed) return changed.error();
      changes.clear();
    }
    if (*taken == Taken::kGone) continue;
    ++(deletes ? settled.deleted : settled.archived);
    log::info(deletes ? "deleted after delivery" : "archived after delivery",
              {{"path", file.path}, {"id", file.id}});
  }
  if (auto changed = metastore.change_states(changes); !changed) return changed.error();
  return settled;
}

}  // namespace ferry::transfer
