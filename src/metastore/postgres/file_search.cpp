#include "metastore/postgres/file_search.h"

#include <algorithm>
#include <limits>

#include "metastore/query_rules.h"

namespace ferry::metastore::postgres {
namespace {

constexpr std::size_t kFirstPage = 256;
constexpr std::size_t kLargestPage = 4'096;
constexpr FileNumber kBehindAll = std::numeric_limits<FileNumber>::max();

/// A pattern of LIKE for what has TEXT in it.
std::string anywhere(std::string_view text) {
  std::string pattern = "%";
  for (const char byte : text) {
    if (byte == '%' || byte == '_' || byte == '\\') pattern += '\\';
    pattern += byte;
  }
  return pattern + '%';
}

std::string placeholder(const Parameters& parameters) {
  return fmt::format("${}", parameters.values().size());
}

std::vector<std::string> labels_of(const std::vector<std::string>& landings,
                                   const Viewpoint& viewpoint) {
  std::vector<std::string> labels;
  for (const std::string& landing : landings) {
    for (std::string& label : viewpoint.labels_of(landing)) labels.push_back(std::move(label));
  }
  return labels;
}

}  // namespace

FileSearch::FileSearch(const FileQuery& query)
    : query_(query),
      below_(query.below),
      found_by_(how_to_find(query)),
      left_(query.limit),
      page_(kFirstPage) {
  if (query_.newest_first) last_ = kBehindAll;
  if (query_.below.empty() || below_.cover("")) {
    ranges_ = {{.from = "", .until = ""}};
    return;
  }
  ranges_ = ranges_below(below_);
}

FileSearch::FoundBy FileSearch::how_to_find(const FileQuery& query) {
  if (!query.names.empty()) return FoundBy::kNames;
  if (query.deliverable || query.leaves_stale_part || query.due_to_go) return FoundBy::kClasses;
  if (!query.standings.empty() && !has(query.standings, Standing::kSuccessful)) {
    return FoundBy::kClasses;
  }
  if (query.states == std::vector{FileState::kQuarantined}) return FoundBy::kQuarantined;
  if (query.latest_versions && !query.landings.empty()) return FoundBy::kLatest;
  return FoundBy::kAll;
}

Result<std::vector<KnownFile>> FileSearch::next(Snapshot& snapshot, const RouteState& route) {
  std::vector<KnownFile> page;
  if (left_ == 0) return page;
  if (auto looked = snapshot.look_who_lives(); !looked) return looked.error();
  while (page.empty() && !is_over_) {
    const auto numbers = candidates(snapshot, route, page_);
    if (!numbers) return numbers.error();
    page_ = std::min(page_ * 2, kLargestPage);
    is_over_ = numbers->empty();
    auto files = snapshot.load(*numbers);
    if (!files) return files;
    auto meant = matching(snapshot, std::move(*files));
    if (!meant) return meant;
    page = std::move(*meant);
  }
  if (page.size() > left_) page.resize(left_);
  if (left_ != FileQuery::kNoLimit) left_ -= page.size();
  return page;
}

Result<void> FileSearch::take_up(Snapshot& snapshot) {
  if (is_taken_up_ || query_.after.empty()) return {};
  const auto found = snapshot.find({query_.after});
  if (!found) return found.error();
  if (found->empty()) {
    return make_error(ErrorKind::kNotFound, "no file has the id {}", query_.after);
  }
  last_ = found->begin()->second;
  is_taken_up_ = true;
  return {};
}

// FoundBy.

Result<std::vector<FileNumber>> FileSearch::candidates(Snapshot& snapshot, const RouteState& route,
                                                       std::size_t limit) {
  if (auto taken_up = take_up(snapshot); !taken_up) return taken_up.error();
  const auto find = [&] {
    switch (found_by_) {
      case FoundBy::kNames:
        return named(snapshot);
      case FoundBy::kClasses:
        return in_classes(snapshot, route, limit, "");
      case FoundBy::kQuarantined:
        return everywhere(snapshot, "f.state = 'quarantined'", limit);
      case FoundBy::kLatest:
        return latest_versions(snapshot, limit);
      case FoundBy::kAll:
        break;
    }
    return everywhere(snapshot, "true", limit);
  };
  auto numbers = find();
  if (numbers && !numbers->empty()) last_ = numbers->back();
  return numbers;
}

Result<std::vector<FileNumber>> FileSearch::unlocked_candidates(Snapshot& snapshot,
                                                                const RouteState& route,
                                                                std::size_t limit) {
  if (auto taken_up = take_up(snapshot); !taken_up) return taken_up.error();
  if (route.is_current() && found_by_ == FoundBy::kClasses) {
    auto numbers = in_classes(snapshot, route, limit, " FOR UPDATE OF f SKIP LOCKED");
    if (numbers && !numbers->empty()) last_ = numbers->back();
    return numbers;
  }
  for (;;) {
    auto numbers = candidates(snapshot, route, limit);
    if (!numbers || numbers->empty()) return numbers;
    auto locked = snapshot.lock(*numbers, Wait::kNo);
    if (!locked || !locked->empty()) return locked;
  }
}

Result<std::vector<FileNumber>> FileSearch::run(Snapshot& snapshot, std::string_view sql,
                                                const Parameters& parameters) const {
  if (!query_.text.empty()) {
    // An index of trigrams is only read so.
    const auto set = snapshot.connection().command("SET LOCAL enable_bitmapscan = on");
    if (!set) return set.error();
  }
  const auto rows = snapshot.connection().run(sql, parameters);
  if (!rows) return rows.error();
  return numbers_in(*rows);
}

/// What can be said of files, F, without the rules: they spare us candidates.
std::string FileSearch::conditions(const Snapshot& snapshot, Parameters& parameters) const {
  std::string sql;
  if (!query_.landings.empty()) {
    parameters.add(labels_of(query_.landings, snapshot.viewpoint()));
    sql += fmt::format(" AND f.landing = ANY({}::text[])", placeholder(parameters));
  }
  if (!query_.text.empty()) {
    // An index of trigrams, if its owner made one, serves LIKE.
    parameters.add(anywhere(query_.text));
    sql += fmt::format(" AND f.path LIKE {}", placeholder(parameters));
  }
  if (!query_.states.empty()) {
    std::vector<std::string> states;
    for (const FileState state : query_.states) states.emplace_back(to_string(state));
    parameters.add(states);
    sql += fmt::format(" AND f.state = ANY({}::text[])", placeholder(parameters));
  }
  const auto bound = [&](std::string_view column_and_comparison, const auto& time, auto as_value,
                         std::string_view type) {
    if (!time) return;
    parameters.add(as_value(*time));
    sql += fmt::format(" AND {} {}::{}", column_and_comparison, placeholder(parameters), type);
  };
  bound("f.updated_date >=", query_.updated.since, format_timestamp, "timestamptz");
  bound("f.updated_date <", query_.updated.until, format_timestamp, "timestamptz");
  bound("f.registered >=", query_.registered.since, to_ms, "bigint");
  bound("f.registered <", query_.registered.until, to_ms, "bigint");
  if (ranges_.front().until.empty()) return sql;
  std::string below;
  for (const PathRange& range : ranges_) {
    parameters.add(range.from);
    const std::string from = placeholder(parameters);
    parameters.add(range.until);
    below += fmt::format("{}f.path >= {} AND f.path < {}", below.empty() ? "" : " OR ", from,
                         placeholder(parameters));
  }
  return sql + fmt::format(" AND ({})", below);
}

Result<std::vector<FileNumber>> FileSearch::everywhere(Snapshot& snapshot, std::string_view where,
                                                       std::size_t limit) const {
  Parameters parameters;
  parameters.add(last_).add(static_cast<std::int64_t>(limit));
  const std::string more = conditions(snapshot, parameters);
  return run(
      snapshot,
      fmt::format("SELECT f.number FROM files f WHERE {} AND f.number {} $1{} ORDER BY "
                  "f.number {} LIMIT $2",
                  where, query_.newest_first ? "<" : ">", more, query_.newest_first ? "DESC" : ""),
      parameters);
}

Result<std::vector<FileNumber>> FileSearch::named(Snapshot& snapshot) const {
  Parameters parameters;
  parameters.add(last_).add(query_.names);
  return run(
      snapshot,
      fmt::format(
          "WITH RECURSIVE area(landing) AS (SELECT min(landing) FROM files UNION ALL SELECT "
          "(SELECT min(landing) FROM files WHERE landing > area.landing) FROM area WHERE "
          "area.landing IS NOT NULL) SELECT number FROM (SELECT number FROM files WHERE id = "
          "ANY($2::text[]) UNION SELECT f.number FROM area JOIN files f USING (landing) WHERE "
          "f.path = ANY($2::text[])) AS f WHERE number {} $1 ORDER BY number {}",
          query_.newest_first ? "<" : ">", query_.newest_first ? "DESC" : ""),
      parameters);
}

bool FileSearch::is_asked_for(const Class& one) const {
  if (one.is_due_to_go != query_.due_to_go) return false;
  if (!query_.destination.empty() && one.destination != query_.destination) return false;
  if (query_.deliverable && !one.is_open) return false;
  const bool is_claimed = one.status == TransferStatus::kInProgress;
  if (query_.leaves_stale_part) {
    const bool is_begun =
        one.status && one.standing != Standing::kPending && one.standing != Standing::kFailed;
    if (!is_begun || one.error_kind == kAbandoned) return false;
  }
  return is_empty_or_has(query_.standings, one.standing) ||
         (is_claimed && has(query_.standings, Standing::kInProgress));
}

/// In the classes, and among those that the route has not judged yet. LOCKING: of the files, F.
Result<std::vector<FileNumber>> FileSearch::in_classes(Snapshot& snapshot, const RouteState& route,
                                                       std::size_t limit,
                                                       std::string_view locking) const {
  if (route.route.id == 0 || !route.route.is_complete) {
    return everywhere(snapshot, query_.deliverable ? "f.state = 'ready'" : "true", limit);
  }
  const auto known = classes(snapshot.connection(), route.route.id);
  if (!known) return known.error();
  std::vector<std::int64_t> meant;
  for (const Class& one : *known) {
    if (is_asked_for(one)) meant.push_back(one.id);
  }
  const std::string_view compares = query_.newest_first ? "<" : ">";
  const std::string_view order = query_.newest_first ? "DESC" : "";
  Parameters parameters;
  parameters.add(last_).add(static_cast<std::int64_t>(limit)).add(meant);
  std::string sql = fmt::format(
      "SELECT DISTINCT number FROM (SELECT s.number FROM classes c CROSS JOIN LATERAL (SELECT "
      "f.number FROM standings s JOIN files f ON f.number = s.file WHERE s.class = c.id AND s.file "
      "{} $1",
      compares);
  sql += conditions(snapshot, parameters);
  if (query_.deliverable) {
    // What a living agent holds need not be looked at.
    parameters.add(snapshot.liveness().names());
    sql += fmt::format(
        " AND (c.status <> 0 OR coalesce((SELECT agent FROM deliveries d WHERE d.file = s.file AND "
        "d.destination = c.destination), (SELECT agent FROM deliveries d WHERE d.file = s.file AND "
        "d.destination = ''), '') <> ALL ({}::text[]))",
        placeholder(parameters));
  }
  sql += fmt::format(" ORDER BY s.file {} LIMIT $2{}) s WHERE c.id = ANY($3::integer[])", order,
                     locking);
  if (route.has_unjudged) {
    parameters.add(route.route.id);
    sql += fmt::format(" UNION ALL SELECT file FROM unjudged WHERE route = {} AND file {} $1",
                       placeholder(parameters), compares);
  }
  sql += fmt::format(") AS n ORDER BY number {} LIMIT $2", order);
  return run(snapshot, sql, parameters);
}

/// By landing area, label, and path.
Result<std::vector<FileNumber>> FileSearch::latest_versions(Snapshot& snapshot, std::size_t limit) {
  const auto labels = labels_of(query_.landings, snapshot.viewpoint());
  for (; label_ < labels.size(); ++label_, range_ = 0) {
    for (; range_ < ranges_.size(); ++range_, has_last_path_ = false) {
      const PathRange& range = ranges_[range_];
      Parameters parameters;
      parameters.add(labels[label_]).add(static_cast<std::int64_t>(limit));
      parameters.add(has_last_path_ ? last_path_ : range.from);
      std::string until;
      if (!range.until.empty()) {
        parameters.add(range.until);
        until = " AND path < $4";
      }
      const auto rows = snapshot.connection().run(
          fmt::format("SELECT max(number), path FROM files WHERE landing = $1 AND path {} $3{} "
                      "GROUP BY path ORDER BY path LIMIT $2",
                      has_last_path_ ? ">" : ">=", until),
          parameters);
      if (!rows) return rows.error();
      if (rows->count() == 0) continue;
      last_path_ = rows->text(rows->count() - 1, 1);
      has_last_path_ = true;
      return numbers_in(*rows);
    }
  }
  return std::vector<FileNumber>();
}

// Conditions.

Result<std::vector<KnownFile>> FileSearch::matching(Snapshot& snapshot,
                                                    std::vector<KnownFile> files) const {
  std::erase_if(files, [&](const KnownFile& file) { return !matches(file, snapshot); });
  if (!query_.latest_versions || files.empty()) return files;
  const auto versions = snapshot.versions(files);
  if (!versions) return versions.error();
  std::vector<KnownFile> latest;
  for (std::size_t i = 0; i < files.size(); ++i) {
    const auto& all = (*versions)[i];
    if (!all.empty() && all.back().number == files[i].file.number) {
      latest.push_back(std::move(files[i]));
    }
  }
  return latest;
}

bool FileSearch::matches(const KnownFile& file, const Snapshot& snapshot) const {
  const FileRecord record = snapshot.record(file);
  if (!fits(query_, below_, record)) return false;
  if (!query_.registered.contains(time_from(file.file.registered))) return false;
  return !depends_on_deliveries(query_) ||
         stands_as_asked(query_, record, snapshot.deliveries(file), snapshot.demand());
}

}  // namespace ferry::metastore::postgres
