#include "http/api/activity.h"

#include <algorithm>

#include "http/api/api.h"

namespace ferry::http {
namespace {

using std::chrono::floor;
using std::chrono::minutes;

constexpr std::chrono::hours kKept{24};
/// Rows may be written a little later than they say.
constexpr minutes kLate{5};
constexpr std::chrono::seconds kFresh{2};

Json to_json(const std::vector<Activity::Count>& counts, minutes step) {
  Json files = Json::array();
  Json bytes = Json::array();
  for (const Activity::Count& count : counts) {
    files.push_back(count.files);
    bytes.push_back(count.bytes);
  }
  return {{"step_seconds", std::chrono::seconds(step).count()},
          {"files", std::move(files)},
          {"bytes", std::move(bytes)}};
}

}  // namespace

Result<void> Activity::update(metastore::Metastore& store, Timestamp now) {
  if (now - updated_ < kFresh) return {};
  const Timestamp since = floor<minutes>(std::max(now - kKept, updated_ - kLate));
  std::map<Minute, Count> fresh;
  const auto destinations = store.logged_destinations();
  if (!destinations) return destinations.error();
  // One after the other: the store finds them by date for each, and walks them all for any.
  for (const std::string& destination : *destinations) {
    const auto visited = store.visit_transfers(
        {.destination = destination,
         .statuses = {metastore::TransferStatus::kSuccessful},
         .date = {.since = since}},
        [&](const metastore::FileRecord&, const metastore::Delivery& delivery) {
          // "" asks for any, and is here for rows that name none.
          if (delivery.destination != destination) return;
          Count& count = fresh[floor<minutes>(delivery.date)];
          count.files += 1;
          count.bytes += static_cast<std::uint64_t>(delivery.bytes);
        });
    if (!visited) return visited.error();
  }
  minutes_.erase(minutes_.lower_bound(floor<minutes>(since)), minutes_.end());
  minutes_.insert(fresh.begin(), fresh.end());
  minutes_.erase(minutes_.begin(), minutes_.lower_bound(floor<minutes>(now - kKept)));
  updated_ = now;
  return {};
}

Result<std::vector<Activity::Count>> Activity::counts(metastore::Metastore& store, Timestamp now,
                                                      std::size_t count, minutes step) {
  const std::lock_guard lock(mutex_);
  if (auto updated = update(store, now); !updated) return updated.error();
  std::vector<Count> counts(count);
  const Minute end = floor<minutes>(now) + minutes(1);
  for (const auto& [minute, one] : minutes_) {
    const auto back = static_cast<std::size_t>(std::max((end - minute - minutes(1)) / step, 0L));
    if (minute >= end || back >= count) continue;
    counts[count - 1 - back].files += one.files;
    counts[count - 1 - back].bytes += one.bytes;
  }
  return counts;
}

Answer<Response> get_activity(const Context& context, Call&) {
  const Timestamp time = now();
  const auto hour = context.activity.counts(context.store, time, 60, minutes(1));
  if (!hour) return refuse(hour.error());
  const auto day = context.activity.counts(context.store, time, 24, std::chrono::hours(1));
  if (!day) return refuse(day.error());
  return json_response(
      200, {{"hour", to_json(*hour, minutes(1))}, {"day", to_json(*day, std::chrono::hours(1))}});
}

}  // namespace ferry::http
