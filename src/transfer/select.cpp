#include "transfer/select.h"

#include <algorithm>
#include <set>

#include "ferry/base/log.h"

namespace ferry::transfer {
namespace {

bool is_named(const metastore::FileRecord& file, const std::string& name) {
  return name == file.id || name == file.path;
}

/// The names of a selection that no file has had so far.
class UnmatchedNames {
 public:
  explicit UnmatchedNames(const std::vector<std::string>& names)
      : names_(names.begin(), names.end()) {}

  void see(const metastore::FileRecord& file) {
    names_.erase(file.id);
    names_.erase(file.path);
  }

  Result<void> none_left() const {
    if (names_.empty()) return {};
    return make_error(ErrorKind::kInvalid,
                      "{}: no registered file has this path or id ('ferry list' shows them)",
                      *names_.begin());
  }

 private:
  std::set<std::string, std::less<>> names_;
};

std::chrono::milliseconds rest_after(std::int64_t attempts, std::chrono::milliseconds first) {
  std::chrono::milliseconds rest = std::min(first, kLongestRest);
  for (std::int64_t i = 1; i < attempts && rest < kLongestRest; ++i) {
    rest = std::min(rest * 2, kLongestRest);
  }
  return rest;
}

bool is_resting(const metastore::Delivery* delivery, const TransferOptions& options,
                Timestamp time) {
  if (delivery == nullptr || delivery->status != metastore::TransferStatus::kFailed) return false;
  const auto since_failure = time - delivery->date;
  // After the clock was set back, a failure may lie in the future.
  return since_failure >= since_failure.zero() &&
         since_failure < rest_after(delivery->attempt, options.rest_after_failure);
}

enum class Way { kNone, kNotYet, kOpen };

Way way_of(const metastore::FileRecord& file, std::string_view destination, const Routes* routes,
           Timestamp time) {
  if (routes == nullptr) return Way::kOpen;
  const Route* route = routes->find(file.landing, file.path, destination);
  if (route == nullptr) return Way::kNone;
  const bool may_go = remaining_wait(*route, file, time) == std::chrono::milliseconds::zero();
  return may_go ? Way::kOpen : Way::kNotYet;
}

}  // namespace

bool is_selected(const metastore::FileRecord& file, const metastore::Delivery* delivery,
                 const TransferOptions& options, Timestamp time) {
  const Selection& selection = options.selection;
  if (!selection.updated.contains(file.updated_date)) return false;
  if (selection.names.empty()) {
    return metastore::is_deliverable(file, delivery, options.max_attempts) &&
           !is_resting(delivery, options, time);
  }
  return std::ranges::any_of(selection.names,
                             [&](const std::string& name) { return is_named(file, name); }) &&
         metastore::is_deliverable(file, delivery, metastore::kAskedFor);
}

namespace {

bool is_doubtful(const LandingRoot* landing, const metastore::FileRecord& file) {
  return landing != nullptr && !landing->is_remote() && file.identity &&
         file.identity->device != landing->device;
}

using Taker =
    std::function<void(const metastore::FileRecord& file, const metastore::Delivery* delivery)>;

bool is_readable(const std::string& landing, const TransferOptions& options) {
  return options.landings.contains(landing) || options.remote_landings.contains(landing);
}

/// Calls TAKE with each selected file.
Result<void> for_each_selected(metastore::Metastore& metastore, std::string_view destination,
                               const TransferOptions& options, const Taker& take) {
  std::map<std::string, std::uint64_t> elsewhere;
  std::uint64_t unrouted = 0;
  std::uint64_t too_young = 0;
  const Timestamp time = now();
  UnmatchedNames unmatched(options.selection.names);
  metastore::FileQuery query;
  query.names = options.selection.names;
  query.destination = destination;
  // What is asked for by name is taken whatever its attempts.
  query.deliverable = query.names.empty();
  if (query.deliverable) query.updated = options.selection.updated;
  auto visited = metastore.visit(query, [&](const metastore::FileRecord& file,
                                            std::span<const metastore::Delivery> deliveries) {
    unmatched.see(file);
    const auto* delivery = metastore::find_delivery(deliveries, destination);
    if (!is_selected(file, delivery, options, time)) return;
    const Way way = way_of(file, destination, options.routes, time);
    if (way == Way::kNone) {
      ++unrouted;
    } else if (way == Way::kNotYet) {
      ++too_young;
    } else if (is_readable(file.landing, options)) {
      take(file, delivery);
    } else {
      ++elsewhere[file.landing];
    }
  });
  if (!visited) return visited;
  if (auto matched = unmatched.none_left(); !matched) return matched;
  const bool asked = !options.selection.names.empty();
  if (unrouted > 0 && asked) {
    log::warning("no route leads files that were asked for to this destination",
                 {{"destination", destination}, {"files", unrouted}});
  }
  if (too_young > 0 && asked) {
    log::warning("files that were asked for have to wait: min_age or settle of their route",
                 {{"destination", destination}, {"files", too_young}});
  }
  for (const auto& [landing, files] : elsewhere) {
    if (landing.empty()) continue;  // in no area: whoever called knows what to say about that
    log::warning("files of another landing area left out",
                 {{"landing", landing}, {"files", files}});
  }
  return {};
}

}  // namespace

Result<std::vector<metastore::FileRecord>> select(metastore::Metastore& metastore,
                                                  std::string_view destination,
                                                  const TransferOptions& options) {
  std::vector<metastore::FileRecord> selected;
  const auto done =
      for_each_selected(metastore, destination, options,
                        [&](const metastore::FileRecord& file, const metastore::Delivery*) {
                          selected.push_back(file);
                        });
  if (!done) return done.error();
  return selected;
}

Result<SelectedFiles> select_ids(metastore::Metastore& metastore, std::string_view destination,
                                 const TransferOptions& options, const LandingRoots& roots) {
  SelectedFiles selected;
  const auto done = for_each_selected(
      metastore, destination, options,
      [&](const metastore::FileRecord& file, const metastore::Delivery* delivery) {
        selected.files.push_back({file.id, &*selected.landings.insert(file.landing).first});
        if (is_doubtful(roots.find(file.landing), file)) selected.doubtful.push_back(file);
        if (file.identity) selected.bytes += file.identity->size;
        if (delivery != nullptr && !selected.batch_ids.contains(delivery->batch_id)) {
          selected.batch_ids.emplace(delivery->batch_id);
        }
      });
  if (!done) return done.error();
  return selected;
}

}  // namespace ferry::transfer
