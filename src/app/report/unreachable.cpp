#include "app/report/unreachable.h"

#include <algorithm>
#include <chrono>

#include "app/config/state_directory.h"

namespace ferry::app {
namespace {

constexpr std::chrono::hours kForgottenAfter{24};

bool is_configured(const std::string& destination, const Settings& settings) {
  const auto& known = settings.destinations;
  return std::ranges::find(known, destination, &DestinationSettings::name) != known.end();
}

}  // namespace

Result<std::vector<Outage>> unreachable_destinations(const Settings& settings, Timestamp time) {
  auto outages = Outages(state_directory(settings).outages()).all();
  if (!outages) return outages;
  std::erase_if(*outages, [&](const Outage& outage) {
    return !is_configured(outage.destination, settings) && time - outage.last_try > kForgottenAfter;
  });
  return std::move(*outages);
}

const metastore::Totals* waiting_for(std::span<const metastore::Totals> totals,
                                     std::string_view destination) {
  auto found = std::ranges::find(totals, destination, &metastore::Totals::destination);
  if (found == totals.end()) found = std::ranges::find(totals, "", &metastore::Totals::destination);
  return found == totals.end() || !found->oldest_pending ? nullptr : &*found;
}

}  // namespace ferry::app
