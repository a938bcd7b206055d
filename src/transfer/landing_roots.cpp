#include "transfer/landing_roots.h"

#include <fcntl.h>

namespace ferry::transfer {

Result<LandingRoots> LandingRoots::open(const std::map<std::string, fs::path>& directories) {
  LandingRoots result;
  for (const auto& [landing, directory] : directories) {
    auto fd = open_file(directory, O_PATH | O_DIRECTORY);
    if (!fd) return fd.error().with_context("landing area");
    result.roots_.emplace(landing, std::move(*fd));
  }
  return result;
}

int LandingRoots::fd(const std::string& landing) const {
  const auto found = roots_.find(landing);
  return found == roots_.end() ? -1 : found->second.get();
}

}  // namespace ferry::transfer
