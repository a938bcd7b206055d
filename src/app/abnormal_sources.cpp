#include "app/abnormal_sources.h"

#include <algorithm>
#include <optional>

#include "ferry/base/log.h"
#include "ferry/landing/quarantine.h"

namespace ferry::app {
namespace {

Result<std::optional<metastore::FileRecord>> find_file(metastore::Metastore& metastore,
                                                       std::string_view id) {
  std::optional<metastore::FileRecord> found;
  auto visited = metastore.visit([&](const metastore::FileRecord& file, auto) {
    if (file.id == id) found = file;
  });
  if (!visited) return visited.error();
  return found;
}

Result<bool> quarantine(metastore::Metastore& metastore,
                        const std::vector<landing::LandingArea>& areas,
                        const transfer::AbnormalSource& source) {
  const auto file = find_file(metastore, source.id);
  if (!file) return file.error();
  if (!*file) return false;
  const auto area = std::ranges::find_if(areas, [&](const landing::LandingArea& known) {
    return known.name == (*file)->landing || known.path == (*file)->landing ||
           (areas.size() == 1 && (*file)->landing.empty());
  });
  if (area == areas.end()) return false;
  return landing::quarantine(metastore, *area, **file, source.reason);
}

}  // namespace

std::function<void(const transfer::AbnormalSource&)> quarantine_abnormal_sources(
    metastore::Metastore& metastore, std::vector<landing::LandingArea> areas) {
  return [&metastore, areas = std::move(areas)](const transfer::AbnormalSource& source) {
    const auto moved = quarantine(metastore, areas, source);
    if (!moved) {
      log::warning(
          "not moved aside",
          {{"id", source.id}, {"reason", source.reason}, {"error", moved.error().message}});
    } else if (*moved) {
      log::warning("quarantined", {{"id", source.id}, {"reason", source.reason}});
    }
  };
}

}  // namespace ferry::app
