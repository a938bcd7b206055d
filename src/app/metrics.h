// What the metastore tells a monitoring system.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "app/prometheus.h"
#include "app/standings.h"

namespace ferry::app {

class Metrics {
 public:
  /// DESTINATIONS have metrics even while no file has anything to do with them.
  explicit Metrics(const std::vector<std::string>& destinations);

  void add(const StandingRow& row);

  std::string to_prometheus(std::size_t damaged_rows, Timestamp time) const;

 private:
  static constexpr std::size_t kStandings =
      static_cast<std::size_t>(metastore::Standing::kUnrouted) + 1;

  struct Figures {
    std::array<std::uint64_t, kStandings> files{};  // by Standing
    std::map<std::string_view, std::uint64_t> failed_by_kind;
    std::uint64_t given_up = 0;
    std::int64_t delivered_bytes = 0;
    std::optional<Timestamp> oldest_pending;
    std::optional<Timestamp> last_success;
    prometheus::Histogram durations;
    prometheus::Histogram latencies;
  };

  static void add_success(Figures& figures, const StandingRow& row);

  std::map<std::string, Figures, std::less<>> by_destination_;
};

}  // namespace ferry::app
