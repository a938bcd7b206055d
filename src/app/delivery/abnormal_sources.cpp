#include "app/delivery/abnormal_sources.h"

#include <algorithm>
#include <optional>

#include "ferry/base/log.h"
#include "ferry/landing/quarantine.h"

namespace ferry::app {
namespace {

Result<bool> quarantine(metastore::Metastore& metastore,
                        const std::vector<landing::LandingArea>& areas,
                        const transfer::AbnormalSource& source) {
  const std::string id(source.id);
  auto found = metastore.find(std::span(&id, 1));
  if (!found) return found.error();
  std::optional<metastore::FileRecord>& file = found->front();
  if (!file) return false;
  // By now the row may tell of another file, found after this one was claimed.
  if (file->identity && file->identity != source.identity) return false;
  file->identity = source.identity;
  const auto area = std::ranges::find_if(areas, [&](const landing::LandingArea& known) {
    return known.name == file->landing || known.path == file->landing ||
           (areas.size() == 1 && file->landing.empty());
  });
  if (area == areas.end()) return false;
  return landing::quarantine(metastore, *area, *file, source.reason);
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
