#include "app/report/metrics.h"

#include <algorithm>

#include "app/config/state_directory.h"
#include "app/report/prometheus.h"
#include "app/report/unreachable.h"

namespace ferry::app {
namespace {

using metastore::Standing;
using metastore::Totals;
using prometheus::Type;

double seconds(std::chrono::milliseconds duration) {
  return static_cast<double>(duration.count()) / 1000;
}

double unix_time(const std::optional<Timestamp>& time) {
  return time ? seconds(time->time_since_epoch()) : 0;
}

}  // namespace

Result<Overview> look_at_all(metastore::Metastore& metastore, const Settings& settings,
                             const std::optional<std::string>& destination) {
  Overview overview;
  if (destination) {
    auto totals = metastore.totals(*destination);
    if (!totals) return totals.error();
    overview.totals.push_back(std::move(*totals));
  } else {
    auto totals = metastore.totals();
    if (!totals) return totals.error();
    overview.totals = std::move(*totals);
  }
  const auto damaged = metastore.upkeep().damaged_rows();
  if (!damaged) return damaged.error();
  overview.damaged_rows = *damaged;
  const auto orphans = metastore.upkeep().orphans();
  if (!orphans) return orphans.error();
  overview.orphaned_rows = orphans->rows;
  auto late = late_now(metastore, settings, now());
  if (!late) return late.error();
  overview.late = std::move(*late);
  // Who may not look into the state directory is told of the rest.
  auto outages = unreachable_destinations(settings, now());
  if (outages) overview.outages = std::move(*outages);
  overview.untaken = read_untaken(state_directory(settings).untaken());
  std::erase_if(overview.outages, [&](const Outage& outage) {
    return destination && outage.destination != *destination;
  });
  return overview;
}

std::string to_prometheus(const Overview& overview, const Settings& settings, Timestamp time) {
  const std::vector<Totals>& destinations = overview.totals;
  prometheus::Exposition page;
  const auto family = [&](std::string_view name, std::string_view help, const auto& value) {
    page.family(name, Type::kGauge, help);
    for (const Totals& totals : destinations) {
      page.sample({{"destination", totals.destination}}, static_cast<double>(value(totals)));
    }
  };
  const auto histogram = [&](std::string_view name, std::string_view help, auto member) {
    page.family(name, Type::kHistogram, help);
    for (const Totals& totals : destinations) {
      page.sample({{"destination", totals.destination}}, totals.*member);
    }
  };

  page.family("ferry_build_info", Type::kGauge, "The version that wrote this; always 1.");
  page.sample({{"version", FERRY_VERSION}}, 1);

  page.family("ferry_files", Type::kGauge, "Files by where they stand with a destination.");
  for (const Totals& totals : destinations) {
    for (std::size_t i = 0; i < metastore::kStandings; ++i) {
      const auto standing = static_cast<Standing>(i);
      page.sample({{"destination", totals.destination}, {"status", to_string(standing)}},
                  static_cast<double>(totals[standing].files));
    }
  }
  page.family("ferry_failed_files", Type::kGauge,
              "Files whose last attempt failed, by the kind of the error.");
  for (const Totals& totals : destinations) {
    for (const auto& [kind, count] : totals.failed_by_kind) {
      page.sample({{"destination", totals.destination}, {"kind", kind}},
                  static_cast<double>(count));
    }
  }
  family("ferry_given_up_files", "Failed files that no run takes up any more by itself.",
         [](const Totals& totals) { return totals.given_up.files; });
  family("ferry_oldest_pending_age_seconds",
         "Age of the file that is pending for the longest time; 0: nothing is pending.",
         [&](const Totals& totals) {
           return totals.oldest_pending ? seconds(time - totals.oldest_pending->since) : 0;
         });
  family("ferry_last_success_timestamp_seconds",
         "When a destination last had a whole file, as Unix time; 0: never.",
         [](const Totals& totals) { return unix_time(totals.last_success); });
  family("ferry_delivered_bytes",
         "Bytes of the delivered files that the live tables tell of, as sent.",
         [](const Totals& totals) { return totals.bytes_sent; });
  histogram("ferry_delivery_duration_seconds", "How long delivering a file took, once begun.",
            &Totals::durations);
  histogram("ferry_delivery_latency_seconds",
            "How long after it was registered a file was delivered.", &Totals::latencies);

  page.family(
      "ferry_unreachable_since_timestamp_seconds", Type::kGauge,
      "Since when this host's agents cannot reach a destination, as Unix time; not there: they "
      "can.");
  for (const Outage& outage : overview.outages) {
    page.sample({{"destination", outage.destination}}, unix_time(outage.since));
  }
  page.family("ferry_untaken_files", Type::kGauge,
              "Delivered files that this host's last run could not archive or delete.");
  page.sample({}, overview.untaken ? static_cast<double>(overview.untaken->files) : 0);
  page.family("ferry_damaged_rows", Type::kGauge, "Rows of the metastore that cannot be read.");
  page.sample({}, static_cast<double>(overview.damaged_rows));
  page.family("ferry_orphaned_rows", Type::kGauge,
              "Rows of the logs whose file the registry does not have.");
  page.sample({}, static_cast<double>(overview.orphaned_rows));

  if (settings.expected.empty()) return page.text();
  page.family("ferry_late", Type::kGauge,
              "1 while files that a configured expectation waits for are late; else 0.");
  for (const ExpectSettings& one : settings.expected) {
    const bool is_late = std::ranges::any_of(
        overview.late, [&](const ExpectedDay& day) { return day.expectation->name == one.name; });
    page.sample({{"expectation", one.name}}, is_late ? 1 : 0);
  }
  return page.text();
}

}  // namespace ferry::app
