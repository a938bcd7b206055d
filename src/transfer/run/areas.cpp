#include "transfer/run/areas.h"

#include <ranges>

namespace ferry::transfer {
namespace {

Error not_mounted(const std::string& landing, std::uint64_t files) {
  return make_error(
      ErrorKind::kNotFound,
      "landing area {}: {} files are not found, and were on a file system that is not "
      "there",
      landing, files);
}

/// Whether it is there, as far as this host can tell.
Result<void> look_at(const std::string& landing, const LandingRoots& roots) {
  if (const Error* absence = roots.absence(landing)) return *absence;
  const LandingRoot* root = roots.find(landing);
  if (root == nullptr || !root->is_empty()) return {};
  return area_is_empty(landing);
}

sftp::Task<void> reach(SourceOpener& sources, const LandingRoot& root, Area& area) {
  area.reached = co_await root.reach(sources);
}

}  // namespace

Outcome<std::vector<Area>> find_areas(Feed& feed, const LandingRoots& roots,
                                      const TransferOptions& options) {
  std::vector<Area> areas;
  for (const std::string& name : options.landings | std::views::keys) {
    const auto found = feed.look_in(name);
    if (!found) return std::unexpected(found.error());
    if (found->any) {
      areas.push_back({name, look_at(name, roots)});
    } else if (found->unmounted > 0) {
      areas.push_back({name, not_mounted(name, found->unmounted)});
    }
  }
  return areas;
}

std::vector<AreaOnServer> areas_on_servers(std::vector<Area>& areas, const LandingRoots& roots) {
  std::vector<AreaOnServer> servers;
  for (Area& area : areas) {
    const LandingRoot* root = roots.find(area.name);
    if (area.reached && root != nullptr && root->is_remote()) servers.emplace_back(root, &area);
  }
  return servers;
}

void start_reaching(const std::vector<AreaOnServer>& areas, Session& session) {
  for (const auto& [root, area] : areas) {
    session.loop->spawn(reach(*session.sources, *root, *area));
  }
}

}  // namespace ferry::transfer
