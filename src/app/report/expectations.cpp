#include "app/report/expectations.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "app/config/routing.h"
#include "ferry/base/glob.h"
#include "ferry/base/uuid.h"

namespace ferry::app {
namespace {

constexpr std::chrono::minutes kMidnight{0};
constexpr std::chrono::days kDay{1};
constexpr std::chrono::days kWeek{7};

bool is_on(const ExpectSettings& expectation, Date date) {
  return expectation.days.days.test(std::chrono::weekday(date).c_encoding());
}

/// The next day after DATE, or with a STEP of -1 day the last before, on which files come.
Date next_day(const ExpectSettings& expectation, Date date, std::chrono::days step) {
  for (auto away = step; std::chrono::abs(away) < kWeek; away += step) {
    if (is_on(expectation, date + away)) return date + away;
  }
  return date + 7 * step;
}

ExpectedDay day_of(const ExpectSettings& expectation, const Clocks& clocks, Date date) {
  ExpectedDay day;
  day.expectation = &expectation;
  day.clocks = clocks;
  day.date = date;
  day.registered = {.since = clocks.time_on(date, kMidnight),
                    .until = clocks.time_on(next_day(expectation, date, kDay), kMidnight)};
  day.deadline = clocks.time_on(date, expectation.by.since_midnight);
  return day;
}

Timestamp registration_of(const metastore::FileRecord& file) {
  return time_of_uuid(file.id).value_or(file.updated_date);
}

/// Holds files against the days that they may be expected on.
class Count {
 public:
  Count(const Settings& settings, std::vector<ExpectedDay> days)
      : settings_(settings), routes_(make_routes(settings)) {
    for (ExpectedDay& day : days) {
      Pattern pattern{.day = std::move(day), .match = {}, .paths = {}};
      for (const std::string& glob : pattern.day.expectation->match)
        pattern.match.emplace_back(glob);
      patterns_.push_back(std::move(pattern));
    }
  }

  Result<void> look_in(metastore::Metastore& metastore) {
    if (patterns_.empty()) return {};
    metastore::FileQuery query;
    query.registered = all_days();
    return metastore.visit(query, [&](const metastore::FileRecord& file,
                                      std::span<const metastore::Delivery> deliveries) {
      if (file.state != metastore::FileState::kQuarantined) add(file, deliveries);
    });
  }

  std::vector<ExpectedDay> judge(Timestamp now) {
    std::vector<ExpectedDay> days;
    for (Pattern& pattern : patterns_) days.push_back(judge(pattern, now));
    return days;
  }

 private:
  using Path = std::pair<std::string, std::string>;  // landing area, and path there
  struct Standing {
    std::optional<Timestamp> arrival;  // at every destination that wants it
    std::vector<std::string_view> lacking;
  };
  struct Pattern {
    ExpectedDay day;
    std::vector<Glob> match;
    std::map<Path, Standing> paths;
  };

  /// From the first day on to the end of the last.
  TimeRange all_days() const {
    Timestamp first = Timestamp::max();
    Timestamp last = Timestamp::min();
    for (const Pattern& one : patterns_) {
      first = std::min(first, one.day.registered.since.value_or(first));
      last = std::max(last, one.day.registered.until.value_or(last));
    }
    return {.since = first, .until = last};
  }

  static bool takes(const Pattern& pattern, const metastore::FileRecord& file) {
    const ExpectSettings& wanted = *pattern.day.expectation;
    const auto fits = [&](const Glob& glob) { return glob.matches(file.path); };
    const bool is_there = wanted.landing.empty() ||
                          std::ranges::find(wanted.landing, file.landing) != wanted.landing.end();
    return is_there && pattern.day.registered.contains(registration_of(file)) &&
           (!file.identity || file.identity->size >= wanted.min_size.value) &&
           (pattern.match.empty() || std::ranges::any_of(pattern.match, fits));
  }

  Standing standing_of(const metastore::FileRecord& file,
                       std::span<const metastore::Delivery> deliveries) const {
    std::vector<std::string_view> wanted;
    if (routes_) {
      wanted = routes_->wanted_by(file.landing, file.path);
      if (wanted.empty()) return {};
    } else {
      wanted.assign(settings_.configured_destinations.begin(),
                    settings_.configured_destinations.end());
    }
    Standing standing;
    Timestamp arrival = registration_of(file);
    for (const std::string_view destination : wanted) {
      const auto* delivery = metastore::find_delivery(deliveries, destination);
      if (delivery == nullptr || delivery->status != metastore::TransferStatus::kSuccessful) {
        standing.lacking.push_back(destination);
      } else {
        arrival = std::max(arrival, delivery->date);
      }
    }
    if (standing.lacking.empty()) standing.arrival = arrival;
    return standing;
  }

  void add(const metastore::FileRecord& file, std::span<const metastore::Delivery> deliveries) {
    for (Pattern& pattern : patterns_) {
      if (!takes(pattern, file)) continue;
      const Standing standing = standing_of(file, deliveries);
      auto& known = pattern.paths.try_emplace({file.landing, file.path}, standing).first->second;
      if (!standing.arrival) continue;
      known = {std::min(known.arrival.value_or(*standing.arrival), *standing.arrival), {}};
    }
  }

  static ExpectedDay judge(Pattern& pattern, Timestamp now) {
    ExpectedDay day = pattern.day;
    std::vector<Timestamp> arrivals;
    std::set<std::string_view> lacking;
    for (const auto& [path, standing] : pattern.paths) {
      if (standing.arrival) arrivals.push_back(*standing.arrival);
      lacking.insert(standing.lacking.begin(), standing.lacking.end());
    }
    day.lacking.assign(lacking.begin(), lacking.end());
    std::ranges::sort(arrivals);
    day.landed = static_cast<std::int64_t>(pattern.paths.size());
    day.arrived = static_cast<std::int64_t>(arrivals.size());
    const auto needed = static_cast<std::size_t>(day.expectation->count.value);
    if (arrivals.size() >= needed) day.complete = arrivals[needed - 1];
    if (day.complete) {
      day.arrival = *day.complete <= day.deadline ? Arrival::kArrived : Arrival::kCameLate;
    } else {
      day.arrival = now < day.deadline ? Arrival::kAwaited : Arrival::kLate;
    }
    return day;
  }

  const Settings& settings_;
  const std::shared_ptr<const transfer::Routes> routes_;
  std::vector<Pattern> patterns_;
};

Result<std::vector<ExpectedDay>> judged(metastore::Metastore& metastore, const Settings& settings,
                                        std::vector<ExpectedDay> days, Timestamp now) {
  Count count(settings, std::move(days));
  if (auto looked = count.look_in(metastore); !looked) return looked.error();
  return count.judge(now);
}

}  // namespace

std::string_view to_string(Arrival arrival) {
  switch (arrival) {
    case Arrival::kAwaited:
      return "awaited";
    case Arrival::kArrived:
      return "arrived";
    case Arrival::kLate:
      return "late";
    default:
      return "came late";
  }
}

Json to_json(const ExpectedDay& day) {
  const std::string& zone = day.expectation->timezone.name;
  return {{"name", day.expectation->name},
          {"landing", day.expectation->landing},
          {"match", std::vector<std::string>(day.expectation->match)},
          {"date", format_date(day.date)},
          {"timezone", zone.empty() ? Json() : Json(zone)},
          {"deadline", format_timestamp(day.deadline)},
          {"count", day.expectation->count.value},
          {"landed", day.landed},
          {"arrived", day.arrived},
          {"lacking", day.lacking},
          {"complete", day.complete ? Json(format_timestamp(*day.complete)) : Json()},
          {"state", to_string(day.arrival)}};
}

Json to_json(const std::vector<ExpectedDay>& days) {
  Json all = Json::array();
  for (const ExpectedDay& day : days) all.push_back(to_json(day));
  return all;
}

Result<std::vector<ExpectedDay>> expected_on(metastore::Metastore& metastore,
                                             const Settings& settings, const NamedDay& day,
                                             Timestamp now) {
  std::vector<ExpectedDay> days;
  for (const ExpectSettings& one : settings.expected) {
    const auto clocks = Clocks::in_zone(one.timezone.name);
    if (!clocks) return clocks.error();
    const Date date = day.on(clocks->date(now));
    if (is_on(one, date)) days.push_back(day_of(one, *clocks, date));
  }
  return judged(metastore, settings, std::move(days), now);
}

Result<std::vector<ExpectedDay>> late_now(metastore::Metastore& metastore, const Settings& settings,
                                          Timestamp now) {
  std::vector<ExpectedDay> days;
  for (const ExpectSettings& one : settings.expected) {
    const auto clocks = Clocks::in_zone(one.timezone.name);
    if (!clocks) return clocks.error();
    const Date today = clocks->date(now);
    ExpectedDay day = day_of(one, *clocks, is_on(one, today) ? today : next_day(one, today, -kDay));
    if (day.deadline > now) day = day_of(one, *clocks, next_day(one, today, -kDay));
    days.push_back(std::move(day));
  }
  auto all = judged(metastore, settings, std::move(days), now);
  if (!all) return all.error();
  std::erase_if(*all, [](const ExpectedDay& day) { return day.arrival != Arrival::kLate; });
  return all;
}

}  // namespace ferry::app
