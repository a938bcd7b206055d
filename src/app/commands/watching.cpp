#include "app/commands/watching.h"

#include "app/config/setup.h"

namespace ferry::app {

Result<landing::WatchOptions> watch_options(const Settings& settings, bool once) {
  auto areas = landing_areas(settings);
  if (!areas) return areas.error();
  landing::WatchOptions options;
  options.areas = std::move(*areas);
  options.rescan_interval = settings.watch.rescan_interval;
  options.poll_interval = settings.watch.poll_interval;
  options.hash_threads = settings.watch.hash_threads;
  options.once = once;
  options.patience += settings.general.lock_timeout;
  return options;
}

Json to_json(const landing::WatchSummary& summary) {
  return {{"registered", summary.registered},
          {"bytes", summary.bytes},
          {"quarantined", summary.quarantined},
          {"unsettled", summary.unsettled},
          {"failed", summary.failed}};
}

Origin origin_of_watching(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kNotFound:
    case ErrorKind::kDenied:
    case ErrorKind::kInvalid:
      return Origin::kLocal;
    case ErrorKind::kUnreachable:
    case ErrorKind::kRefused:
    case ErrorKind::kConnectionLost:
    case ErrorKind::kProtocol:
      return Origin::kDestination;
    default:
      return Origin::kMetastore;
  }
}

}  // namespace ferry::app
