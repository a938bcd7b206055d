#include "transfer/landing_roots.h"

#include <fcntl.h>

#include <algorithm>
#include <vector>

namespace ferry::transfer {

Result<LandingRoots> LandingRoots::open(const Directories& directories,
                                        const Locations& locations) {
  LandingRoots result;
  for (const auto& [landing, directory] : directories) {
    auto fd = open_file(directory, O_PATH | O_DIRECTORY);
    if (!fd) return fd.error().with_context("landing area");
    result.roots_.emplace(landing, LandingRoot{std::move(*fd), nullptr});
  }
  // One area under several names is one place.
  std::vector<const sftp::Location*> known;
  for (const auto& [landing, location] : locations) {
    const auto same =
        std::ranges::find_if(known, [&](const auto* other) { return *other == location; });
    const auto* place = same == known.end() ? known.emplace_back(&location) : *same;
    result.roots_.emplace(landing, LandingRoot{UniqueFd(), place});
  }
  return result;
}

const LandingRoot* LandingRoots::find(const std::string& landing) const {
  const auto found = roots_.find(landing);
  return found == roots_.end() ? nullptr : &found->second;
}

}  // namespace ferry::transfer
