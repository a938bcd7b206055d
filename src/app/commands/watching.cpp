#include "app/commands/watching.h"

#include <fmt/ranges.h>

#include <vector>

#include "app/config/landing_areas.h"

namespace ferry::app {

Result<landing::WatchOptions> watch_options(const Settings& settings, bool once) {
  auto areas = landing_areas(settings);
  if (!areas) return areas.error();
  landing::WatchOptions options;
  options.areas = std::move(*areas);
  options.rescan_interval = settings.watch.rescan_interval;
  options.poll_interval = settings.watch.poll_interval;
  options.hash_threads = settings.watch.hash_threads.value;
  options.once = once;
  options.patience += settings.general.lock_timeout;
  return options;
}

Json to_json(const landing::WatchSummary& summary) {
  return {{"registered", summary.registered},
          {"bytes", summary.bytes},
          {"quarantined", summary.quarantined},
          {"unsettled", summary.unsettled},
          {"failed", summary.failed},
          {"ignored",
           {{"hidden", summary.ignored.hidden},
            {"hidden_directories", summary.ignored.hidden_directories},
            {"unfinished", summary.ignored.unfinished},
            {"ignore", summary.ignored.by_glob}}}};
}

std::string to_text(const landing::IgnoredCounts& ignored) {
  std::vector<std::string> parts;
  const auto counted = [](std::uint64_t count, std::string_view one, std::string_view more) {
    return fmt::format("{} {}", count, count == 1 ? one : more);
  };
  std::vector<std::string> hidden;
  if (ignored.hidden > 0) hidden.push_back(counted(ignored.hidden, "hidden file", "hidden files"));
  if (ignored.hidden_directories > 0) {
    hidden.push_back(counted(ignored.hidden_directories, "hidden directory", "hidden directories"));
  }
  if (!hidden.empty()) {
    const bool is_one = ignored.hidden + ignored.hidden_directories == 1;
    parts.push_back(fmt::format("{} ({} with '.')", fmt::join(hidden, " and "),
                                is_one ? "its name begins" : "their names begin"));
  }
  if (ignored.unfinished > 0) {
    parts.push_back(counted(ignored.unfinished, "unfinished file", "unfinished files") +
                    " (*.tmp, *.part, *.filepart)");
  }
  if (ignored.by_glob > 0) {
    parts.push_back(fmt::format("{} that the landing area is to ignore", ignored.by_glob));
  }
  return parts.empty() ? "" : fmt::format("passed over: {}\n", fmt::join(parts, ", "));
}

}  // namespace ferry::app
