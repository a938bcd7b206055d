#include "ferry/transfer/routes.h"

#include <algorithm>

#include "ferry/base/uuid.h"

namespace ferry::transfer {

bool Route::takes(std::string_view landing, const std::string& path) const {
  if (!landings.empty() && !landing.empty() &&
      std::ranges::find(landings, landing) == landings.end()) {
    return false;
  }
  return match.empty() ||
         std::ranges::any_of(match, [&](const Glob& glob) { return glob.matches(path); });
}

/// Ends where VISIT returns true.
template <typename Visitor>
void Routes::for_each_taking(std::string_view landing, const std::string& path,
                             Visitor visit) const {
  for (const Route& route : routes_) {
    if (!route.takes(landing, path)) continue;
    if (visit(route) || routing_ == Routing::kFirst) return;
  }
}

const Route* Routes::find(std::string_view landing, const std::string& path,
                          std::string_view destination) const {
  const Route* found = nullptr;
  for_each_taking(landing, path, [&](const Route& route) {
    if (std::ranges::find(route.destinations, destination) != route.destinations.end()) {
      found = &route;
    }
    return found != nullptr;
  });
  return found;
}

std::vector<std::string_view> Routes::wanted_by(std::string_view landing,
                                                const std::string& path) const {
  std::vector<std::string_view> names;
  for_each_taking(landing, path, [&](const Route& route) {
    for (const std::string& name : route.destinations) {
      if (std::ranges::find(names, name) == names.end()) names.emplace_back(name);
    }
    return false;
  });
  return names;
}

bool Routes::decides_alone(const Route& route, std::string_view landing,
                           const std::string& path) const {
  return std::ranges::all_of(wanted_by(landing, path), [&](std::string_view destination) {
    return find(landing, path, destination) == &route;
  });
}

const Route* Routes::route_after_delivery(std::string_view landing, const std::string& path) const {
  const Route* most_careful = nullptr;
  for_each_taking(landing, path, [&](const Route& route) {
    if (most_careful == nullptr || route.after < most_careful->after) most_careful = &route;
    return false;
  });
  return most_careful;
}

namespace {

Timestamp last_change(const metastore::FileRecord& file, Timestamp now) {
  if (!file.identity) return file.updated_date;
  const auto age = age_of_change(*file.identity, now);
  // Of a server, whose clock may be ahead of ours: it was changed before it was registered.
  const bool is_of_server = file.identity->ctime_ns == 0;
  if (is_of_server && age < age.zero()) return file.updated_date;
  return std::chrono::floor<Timestamp::duration>(now - age);
}

}  // namespace

std::chrono::milliseconds remaining_wait(const Route& route, const metastore::FileRecord& file,
                                         Timestamp now) {
  return std::max(ferry::remaining_wait(route.acceptance.min_age, last_change(file, now), now),
                  ferry::remaining_wait(route.delay, file.updated_date, now));
}

std::string suffix_of(const Route& route) {
  std::string suffix;
  for (const TransformSettings& transform : route.transforms) suffix += transform.name_suffix();
  return suffix;
}

Result<std::string> remote_name(const Route* route, const metastore::FileRecord& file) {
  if (route == nullptr) return file.path;
  std::string name = file.path;
  if (route->rename) {
    NameTemplate::File known{.path = file.path,
                             .landing = file.landing,
                             .id = file.id,
                             .date = time_of_uuid(file.id).value_or(file.updated_date)};
    if (file.identity) {
      known.mtime = std::chrono::floor<std::chrono::milliseconds>(
          std::chrono::sys_time(std::chrono::nanoseconds(file.identity->mtime_ns)));
    }
    auto rendered = route->rename->render(known);
    if (!rendered) return rendered;
    name = std::move(*rendered);
  }
  const std::string suffix = suffix_of(*route);
  if (!route->rename || !route->rename->ends_with(suffix)) name += suffix;
  return name;
}

std::string version_name(std::string_view path, std::uint64_t number, std::string_view suffix) {
  const auto name_at = path.rfind('/') + 1;  // 0 if there is no slash
  std::string_view stem = path;
  if (stem.substr(name_at).size() > suffix.size() && stem.ends_with(suffix)) {
    stem.remove_suffix(suffix.size());
  }
  const auto dot = stem.rfind('.');
  if (dot != stem.npos && dot > name_at) stem = stem.substr(0, dot);
  return fmt::format("{}.{}{}", stem, number, path.substr(stem.size()));
}

}  // namespace ferry::transfer
