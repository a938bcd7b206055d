#include "app/metrics.h"

#include <algorithm>

namespace ferry::app {
namespace {

using metastore::Delivery;
using metastore::Standing;
using prometheus::Type;

double seconds(std::chrono::milliseconds duration) {
  return static_cast<double>(duration.count()) / 1000;
}

double unix_time(const std::optional<Timestamp>& time) {
  return time ? seconds(time->time_since_epoch()) : 0;
}

/// Rows that others wrote may have any text here, which must not make labels without end.
std::string_view known_kind(std::string_view text) {
  for (auto kind = ErrorKind::kInvalid; kind <= ErrorKind::kCancelled;
       kind = static_cast<ErrorKind>(static_cast<int>(kind) + 1)) {
    if (to_string(kind) == text) return to_string(kind);
  }
  return "other";
}

void keep_earliest(std::optional<Timestamp>& kept, Timestamp time) {
  kept = kept ? std::min(*kept, time) : time;
}

void keep_latest(std::optional<Timestamp>& kept, Timestamp time) {
  kept = kept ? std::max(*kept, time) : time;
}

}  // namespace

Metrics::Metrics(const std::vector<std::string>& destinations) {
  for (const std::string& destination : destinations) by_destination_[destination];
}

void Metrics::add(const StandingRow& row) {
  Figures& figures = by_destination_[std::string(row.destination)];
  ++figures.files.at(static_cast<std::size_t>(row.standing));
  if (row.standing == Standing::kPending) {
    keep_earliest(figures.oldest_pending, row.file.updated_date);
  }
  if (row.delivery == nullptr) return;
  if (row.standing == Standing::kFailed)
    ++figures.failed_by_kind[known_kind(row.delivery->error_kind)];
  if (row.given_up) ++figures.given_up;
  if (row.standing == Standing::kSuccessful) add_success(figures, row);
}

void Metrics::add_success(Figures& figures, const StandingRow& row) {
  const Delivery& delivery = *row.delivery;
  figures.delivered_bytes += delivery.bytes;
  figures.durations.add(seconds(std::chrono::milliseconds(delivery.duration_ms)));
  figures.latencies.add(seconds(std::max(delivery.date - row.file.updated_date, {})));
  keep_latest(figures.last_success, delivery.date);
}

std::string Metrics::to_prometheus(std::size_t damaged_rows, Timestamp time) const {
  prometheus::Exposition page;
  const auto family = [&](std::string_view name, std::string_view help, const auto& value) {
    page.family(name, Type::kGauge, help);
    for (const auto& [destination, figures] : by_destination_) {
      page.sample({{"destination", destination}}, static_cast<double>(value(figures)));
    }
  };
  const auto histogram = [&](std::string_view name, std::string_view help, auto member) {
    page.family(name, Type::kHistogram, help);
    for (const auto& [destination, figures] : by_destination_) {
      page.sample({{"destination", destination}}, figures.*member);
    }
  };

  page.family("ferry_build_info", Type::kGauge, "The version that wrote this; always 1.");
  page.sample({{"version", FERRY_VERSION}}, 1);

  page.family("ferry_files", Type::kGauge, "Files by where they stand with a destination.");
  for (const auto& [destination, figures] : by_destination_) {
    for (std::size_t i = 0; i < kStandings; ++i) {
      page.sample({{"destination", destination}, {"status", to_string(static_cast<Standing>(i))}},
                  static_cast<double>(figures.files.at(i)));
    }
  }
  page.family("ferry_failed_files", Type::kGauge,
              "Files whose last attempt failed, by the kind of the error.");
  for (const auto& [destination, figures] : by_destination_) {
    for (const auto& [kind, count] : figures.failed_by_kind) {
      page.sample({{"destination", destination}, {"kind", kind}}, static_cast<double>(count));
    }
  }
  family("ferry_given_up_files", "Failed files that no run takes up any more by itself.",
         [](const Figures& figures) { return figures.given_up; });
  family("ferry_oldest_pending_age_seconds",
         "Age of the file that is pending for the longest time; 0: nothing is pending.",
         [&](const Figures& figures) {
           return figures.oldest_pending ? seconds(time - *figures.oldest_pending) : 0;
         });
  family("ferry_last_success_timestamp_seconds",
         "When a destination last had a whole file, as Unix time; 0: never.",
         [](const Figures& figures) { return unix_time(figures.last_success); });
  family("ferry_delivered_bytes",
         "Bytes of the delivered files that the live tables tell of, as sent.",
         [](const Figures& figures) { return figures.delivered_bytes; });
  histogram("ferry_delivery_duration_seconds", "How long delivering a file took, once begun.",
            &Figures::durations);
  histogram("ferry_delivery_latency_seconds",
            "How long after it was registered a file was delivered.", &Figures::latencies);

  page.family("ferry_damaged_rows", Type::kGauge, "Rows of the metastore that cannot be read.");
  page.sample({}, static_cast<double>(damaged_rows));
  return page.text();
}

}  // namespace ferry::app
