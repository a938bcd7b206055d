// What PostgresMetastore is asked.
#include <algorithm>
#include <map>
#include <set>

#include "metastore/postgres/postgres_metastore.h"
#include "metastore/postgres/transfer_search.h"

namespace ferry::metastore::postgres {
namespace {

constexpr std::size_t kPage = 4'096;

using Records = std::vector<std::optional<FileRecord>>;

Result<std::map<FileNumber, FileRecord>> records(Snapshot& snapshot,
                                                 const std::vector<FileNumber>& numbers) {
  const auto files = snapshot.load(numbers);
  if (!files) return files.error();
  std::map<FileNumber, FileRecord> found;
  for (const KnownFile& file : *files) found.emplace(file.file.number, snapshot.record(file));
  return found;
}

}  // namespace

Result<Records> PostgresMetastore::find(std::span<const std::string> ids) {
  return ask(view(), false, [&](Snapshot& snapshot, const RouteState&) -> Result<Records> {
    const auto numbers = snapshot.find({ids.begin(), ids.end()});
    if (!numbers) return numbers.error();
    std::vector<FileNumber> all;
    for (const auto& [id, number] : *numbers) all.push_back(number);
    const auto known = records(snapshot, all);
    if (!known) return known.error();
    Records found;
    for (const std::string& id : ids) {
      const auto number = numbers->find(id);
      found.push_back(number == numbers->end() ? std::nullopt
                                               : std::optional(known->at(number->second)));
    }
    return found;
  });
}

Result<Records> PostgresMetastore::latest(std::string_view landing,
                                          std::span<const std::string> paths) {
  return ask(view(), false, [&](Snapshot& snapshot, const RouteState&) -> Result<Records> {
    std::vector<PathKey> keys;
    for (const std::string& path : paths) keys.push_back({std::string(landing), path});
    const auto versions = snapshot.versions(keys);
    if (!versions) return versions.error();
    std::vector<FileNumber> numbers;
    for (const auto& all : *versions) {
      if (!all.empty()) numbers.push_back(all.back().number);
    }
    const auto known = records(snapshot, numbers);
    if (!known) return known.error();
    Records found;
    for (const auto& all : *versions) {
      found.push_back(all.empty() ? std::nullopt : std::optional(known->at(all.back().number)));
    }
    return found;
  });
}

Result<void> PostgresMetastore::visit(const FileQuery& query, const FileVisitor& visitor) {
  FileSearch search(query);
  const View viewpoint = view_of(query.destination);
  struct Shown {
    FileRecord record;
    KnownFile file;
    std::vector<bool> is_alive;
  };
  for (;;) {
    auto page = ask(viewpoint, search.needs_standings(),
                    [&](Snapshot& snapshot, const RouteState& route) -> Result<std::vector<Shown>> {
                      FileSearch from_here = search;
                      auto files = from_here.next(snapshot, route);
                      if (!files) return files.error();
                      std::vector<Shown> shown;
                      for (KnownFile& file : *files) {
                        Shown& one = shown.emplace_back();
                        one.record = snapshot.record(file);
                        for (const Delivery& delivery : snapshot.deliveries(file)) {
                          one.is_alive.push_back(delivery.claim_alive);
                        }
                        one.file = std::move(file);
                      }
                      search = std::move(from_here);
                      return shown;
                    });
    if (!page) return page.error();
    if (page->empty()) return {};
    for (const Shown& one : *page) {
      std::vector<Delivery> deliveries;
      for (std::size_t i = 0; i < one.is_alive.size(); ++i) {
        deliveries.push_back(one.file.deliveries[i].view(one.is_alive[i]));
      }
      visitor(one.record, deliveries);
    }
  }
}

Result<void> PostgresMetastore::visit_transfers(const TransferQuery& query,
                                                const TransferVisitor& visitor) {
  TransferSearch search(query);
  for (;;) {
    using Page = std::vector<FoundTransfer>;
    auto page = ask(view(), false, [&](Snapshot& snapshot, const RouteState&) -> Result<Page> {
      TransferSearch from_here = search;
      auto found = from_here.next(snapshot);
      if (found) search = std::move(from_here);
      return found;
    });
    if (!page) return page.error();
    if (page->empty()) return {};
    for (const FoundTransfer& one : *page) visitor(one.file, one.delivery.view(one.is_alive));
  }
}

// Totals.

namespace {

class TotalsOf {
 public:
  explicit TotalsOf(const Demand& demand) : demand_(demand) {
    for (const std::string& destination : demand.destinations) of(destination);
  }

  struct Oldest {
    Timestamp since;
    std::string path;
  };
  void add(const Class& one, bool is_alive, std::int64_t files, std::int64_t bytes,
           const std::optional<Oldest>& oldest) {
    if (one.is_due_to_go || (files == 0 && bytes == 0)) return;
    Judgement judgement;
    judgement.standing = one.standing;
    judgement.status = one.status;
    const Standing standing = standing_now(judgement, is_alive);
    Totals& totals = of(one.destination);
    Totals::Count& count = totals.by_standing[static_cast<std::size_t>(standing)];
    count.files += static_cast<std::uint64_t>(files);
    count.bytes += static_cast<std::uint64_t>(bytes);
    if (standing == Standing::kFailed) {
      totals.failed_by_kind[one.error_kind] += static_cast<std::uint64_t>(files);
      if (!one.is_open) {
        totals.given_up.files += static_cast<std::uint64_t>(files);
        totals.given_up.bytes += static_cast<std::uint64_t>(bytes);
      }
    }
    if (standing != Standing::kPending || !oldest) return;
    if (totals.oldest_pending && totals.oldest_pending->since <= oldest->since) return;
    totals.oldest_pending = Totals::Oldest{oldest->since, oldest->path};
  }

  void add(const std::string& destination, const Delivered& sum, std::optional<Timestamp> last) {
    const bool names_them = !demand_.destinations.empty();
    const bool is_shown = !names_them || by_destination_.contains(destination);
    if (!is_shown || sum.files <= 0 || (destination.empty() && names_them)) return;
    Totals& totals = of(destination);
    auto& count = totals.by_standing[static_cast<std::size_t>(Standing::kSuccessful)];
    count.files += static_cast<std::uint64_t>(sum.files);
    count.bytes += static_cast<std::uint64_t>(sum.bytes);
    totals.bytes_sent = static_cast<std::uint64_t>(sum.bytes);
    totals.durations = sum.durations;
    totals.latencies = sum.latencies;
    totals.last_success = last;
  }

  std::vector<Totals> take() {
    std::vector<Totals> all;
    for (auto& [destination, totals] : by_destination_) all.push_back(std::move(totals));
    return all;
  }

 private:
  Totals& of(const std::string& destination) {
    const auto [known, is_new] = by_destination_.try_emplace(destination);
    known->second.destination = destination;
    return known->second;
  }

  const Demand& demand_;
  std::map<std::string, Totals> by_destination_;
};

using Oldest = std::optional<TotalsOf::Oldest>;

/// Judges files here: those that the route has not judged.
Result<void> add_files(Snapshot& snapshot, const std::vector<FileNumber>& numbers, TotalsOf& sums) {
  const auto files = snapshot.outline(numbers);
  if (!files) return files.error();
  for (const KnownFile& file : *files) {
    const auto deliveries = snapshot.deliveries(file);
    for (const Class& one : judge(file, snapshot.viewpoint())) {
      const Delivery* delivery = find_delivery(deliveries, one.destination);
      sums.add(one, delivery != nullptr && delivery->claim_alive, 1, file.file.size,
               TotalsOf::Oldest{file.file.record.updated_date, file.file.record.path});
    }
  }
  return {};
}

Result<void> add_all_files(Snapshot& snapshot, TotalsOf& sums) {
  for (FileNumber last = 0;;) {
    const auto rows = snapshot.connection().run(
        "SELECT number FROM files WHERE number > $1 ORDER BY number LIMIT $2",
        Parameters().add(last).add(static_cast<std::int64_t>(kPage)));
    if (!rows) return rows.error();
    const auto numbers = numbers_in(*rows);
    if (numbers.empty()) return {};
    if (auto added = add_files(snapshot, numbers, sums); !added) return added;
    last = numbers.back();
  }
}

constexpr const char* kUnjudged = "(SELECT file FROM unjudged WHERE route = $1)";

/// The oldest of a class; of those whose claims are dead, if it is one of claims.
Result<Oldest> oldest_in(Snapshot& snapshot, const Class& one, std::int64_t route) {
  Parameters parameters;
  parameters.add(route).add(one.id);
  std::string is_free = "true";
  if (one.status == TransferStatus::kInProgress) {
    parameters.add(one.destination).add(snapshot.liveness().names());
    is_free =
        "coalesce((SELECT agent FROM deliveries WHERE file = s.file AND destination = $3), (SELECT "
        "agent FROM deliveries WHERE file = s.file AND destination = ''), '') <> ALL($4::text[])";
  }
  const auto rows = snapshot.connection().run(
      fmt::format("SELECT f.updated_date, f.path FROM (SELECT file FROM standings s WHERE class = "
                  "$2 AND file NOT IN {} AND {} ORDER BY updated, file LIMIT 1) o JOIN files f ON "
                  "f.number = o.file",
                  kUnjudged, is_free),
      parameters);
  if (!rows) return rows.error();
  if (rows->count() == 0) return Oldest();
  return Oldest({.since = rows->time(0, 0), .path = std::string(rows->text(0, 1))});
}

struct Sum {
  std::int64_t files = 0;
  std::int64_t bytes = 0;
};

/// Of each class, as of this state: what changed since it was judged is left out.
Result<std::map<std::int64_t, Sum>> class_sums(Connection& connection, const RouteState& route) {
  Parameters which;
  which.add(route.route.id);
  std::string sql =
      "SELECT class, files, bytes FROM class_sums WHERE class IN (SELECT id FROM classes WHERE "
      "route = $1)";
  if (route.has_unjudged) {
    sql += fmt::format(
        " UNION ALL SELECT class, -1, -size FROM standings WHERE class IN (SELECT id FROM classes "
        "WHERE route = $1) AND file IN {}",
        kUnjudged);
  }
  const auto rows = connection.run(
      fmt::format("SELECT class, sum(files)::bigint, sum(bytes)::bigint FROM ({}) AS s GROUP BY "
                  "class",
                  sql),
      which);
  if (!rows) return rows.error();
  std::map<std::int64_t, Sum> sums;
  for (std::size_t i = 0; i < rows->count(); ++i) {
    sums[rows->integer(i, 0)] = {rows->integer(i, 1), rows->integer(i, 2)};
  }
  return sums;
}

/// How much of a class of claims is held by agents that live.
Result<Sum> held_in(Snapshot& snapshot, const Class& one, std::int64_t route) {
  Parameters parameters;
  parameters.add(route).add(one.id).add(one.destination).add(snapshot.liveness().names());
  const auto rows = snapshot.connection().run(
      fmt::format("SELECT count(*), coalesce(sum(size), 0)::bigint FROM standings s WHERE class = "
                  "$2 AND file NOT IN {} AND coalesce((SELECT agent FROM deliveries WHERE file = "
                  "s.file AND destination = $3), (SELECT agent FROM deliveries WHERE file = s.file "
                  "AND destination = ''), '') = ANY($4::text[])",
                  kUnjudged),
      parameters);
  if (!rows) return rows.error();
  return Sum{rows->integer(0, 0), rows->integer(0, 1)};
}

Result<void> add_classes(Snapshot& snapshot, const RouteState& route, TotalsOf& totals) {
  const auto known = classes(snapshot.connection(), route.route.id);
  if (!known) return known.error();
  const auto sums = class_sums(snapshot.connection(), route);
  if (!sums) return sums.error();
  for (const Class& one : *known) {
    const auto found = sums->find(one.id);
    if (found == sums->end() || found->second.files == 0) continue;
    Sum free = found->second;
    if (one.status == TransferStatus::kInProgress) {
      const auto held = held_in(snapshot, one, route.route.id);
      if (!held) return held.error();
      totals.add(one, true, held->files, held->bytes, std::nullopt);
      free.files -= held->files;
      free.bytes -= held->bytes;
    }
    Oldest oldest;
    if (one.standing == Standing::kPending && free.files > 0) {
      const auto first = oldest_in(snapshot, one, route.route.id);
      if (!first) return first.error();
      oldest = *first;
    }
    totals.add(one, false, free.files, free.bytes, oldest);
  }
  if (!route.has_unjudged) return {};
  const auto rest = snapshot.connection().run("SELECT DISTINCT file FROM unjudged WHERE route = $1",
                                              Parameters().add(route.route.id));
  if (!rest) return rest.error();
  return add_files(snapshot, numbers_in(*rest), totals);
}

Result<std::vector<Totals>> totals_in(Snapshot& snapshot, const RouteState& route) {
  if (auto looked = snapshot.look_who_lives(); !looked) return looked.error();
  TotalsOf totals(snapshot.demand());
  const bool is_judged = route.route.id != 0 && route.route.is_complete;
  auto added = is_judged ? add_classes(snapshot, route, totals) : add_all_files(snapshot, totals);
  if (!added) return added.error();
  const auto sums = delivered(snapshot.connection());
  if (!sums) return sums.error();
  for (const auto& [destination, sum] : *sums) {
    const auto last = snapshot.connection().run(
        "SELECT transfer_date FROM deliveries WHERE destination = $1 AND transfer_status = "
        "'successful' ORDER BY transfer_date DESC LIMIT 1",
        Parameters().add(destination));
    if (!last) return last.error();
    totals.add(destination, sum,
               last->count() == 0 ? std::nullopt : std::optional(last->time(0, 0)));
  }
  return totals.take();
}

}  // namespace

Result<std::vector<Totals>> PostgresMetastore::totals() {
  return ask(view(), true, totals_in);
}

Result<Totals> PostgresMetastore::totals(const std::string& destination) {
  auto all = ask(view_of(destination), true, totals_in);
  if (!all) return all.error();
  for (Totals& one : *all) {
    if (one.destination == destination) return std::move(one);
  }
  Totals none;
  none.destination = destination;
  return none;
}

namespace {

Result<bool> has_open_files(Snapshot& snapshot, const RouteState& route) {
  if (auto looked = snapshot.look_who_lives(); !looked) return looked.error();
  const auto is_open = [&](const std::vector<FileNumber>& numbers) -> Result<bool> {
    const auto files = snapshot.load(numbers);
    if (!files) return files.error();
    return std::ranges::any_of(*files, [&](const KnownFile& file) {
      return std::ranges::any_of(judge(file, snapshot.viewpoint()), &Class::is_open);
    });
  };
  Parameters which;
  which.add(route.route.id);
  if (route.route.id != 0 && route.route.is_complete) {
    const auto open = snapshot.connection().run(
        fmt::format(
            "SELECT EXISTS (SELECT FROM classes c CROSS JOIN LATERAL (SELECT FROM standings "
            "WHERE class = c.id{} LIMIT 1) s WHERE c.route = $1 AND c.is_open)",
            route.has_unjudged ? fmt::format(" AND file NOT IN {}", kUnjudged) : ""),
        which);
    if (!open) return open.error();
    if (open->flag(0, 0) || !route.has_unjudged) return open->flag(0, 0);
    const auto rest =
        snapshot.connection().run("SELECT DISTINCT file FROM unjudged WHERE route = $1", which);
    if (!rest) return rest.error();
    return is_open(numbers_in(*rest));
  }
  for (FileNumber last = 0;;) {
    const auto rows = snapshot.connection().run(
        "SELECT number FROM files WHERE number > $1 AND state = 'ready' ORDER BY number LIMIT $2",
        Parameters().add(last).add(static_cast<std::int64_t>(kPage)));
    if (!rows) return rows.error();
    if (rows->count() == 0) return false;
    const auto numbers = numbers_in(*rows);
    const auto open = is_open(numbers);
    if (!open || *open) return open;
    last = numbers.back();
  }
}

}  // namespace

Result<bool> PostgresMetastore::is_pending() {
  return ask(view(), true, has_open_files);
}

Result<std::vector<std::string>> PostgresMetastore::logged_destinations() {
  using Answer = Result<std::vector<std::string>>;
  return ask(view(), false, [](Snapshot& snapshot, const RouteState&) -> Answer {
    // From one to the next of those that got something, and from all that is not delivered.
    const auto rows = snapshot.connection().run(
        "WITH RECURSIVE got(name) AS (SELECT min(destination) FROM deliveries WHERE "
        "transfer_status "
        "= 'successful' UNION ALL SELECT (SELECT min(destination) FROM deliveries WHERE "
        "transfer_status = 'successful' AND destination > got.name) FROM got WHERE got.name IS NOT "
        "NULL) SELECT name FROM (SELECT name FROM got WHERE name IS NOT NULL UNION SELECT "
        "destination FROM deliveries WHERE transfer_status <> 'successful') AS d ORDER BY name");
    if (!rows) return rows.error();
    std::vector<std::string> names;
    for (std::size_t i = 0; i < rows->count(); ++i) names.emplace_back(rows->text(i, 0));
    return names;
  });
}

// History.

Result<std::vector<History>> PostgresMetastore::history(std::string_view id_or_path) {
  using Answer = Result<std::vector<History>>;
  return ask(view(), false, [&](Snapshot& snapshot, const RouteState&) -> Answer {
    Connection& connection = snapshot.connection();
    Parameters name;
    name.add(id_or_path);
    const auto files = connection.run(
        "WITH RECURSIVE area(landing) AS (SELECT min(landing) FROM files UNION ALL SELECT (SELECT "
        "min(landing) FROM files WHERE landing > area.landing) FROM area WHERE area.landing IS NOT "
        "NULL), found AS (SELECT id FROM files WHERE id = $1 UNION SELECT f.id FROM area JOIN "
        "files "
        "f USING (landing) WHERE f.path = $1 UNION SELECT id FROM file_registry_archive WHERE id = "
        "$1 OR path = $1) SELECT " FERRY_REGISTRY_COLUMNS
        " FROM (SELECT * FROM file_registry WHERE id IN (SELECT id FROM found) UNION ALL SELECT * "
        "FROM file_registry_archive WHERE id IN (SELECT id FROM found)) AS r ORDER BY r.row",
        name);
    if (!files) return files.error();
    std::vector<History> versions;
    std::map<std::string, std::size_t> places;
    std::vector<std::string> ids;
    for (std::size_t i = 0; i < files->count(); ++i) {
      FileRecord record = file_record(*files, i, 0);
      const auto [place, is_new] = places.try_emplace(record.id, versions.size());
      if (is_new) {
        versions.emplace_back();
        ids.push_back(record.id);
      }
      versions[place->second].file.push_back(std::move(record));
    }
    const auto transfers = connection.run(
        "SELECT " FERRY_TRANSFER_COLUMNS
        " FROM (SELECT * FROM transfer_logs WHERE id = ANY($1::text[]) UNION ALL SELECT * FROM "
        "transfer_logs_archive WHERE id = ANY($1::text[])) AS l ORDER BY l.row",
        Parameters().add(ids));
    if (!transfers) return transfers.error();
    for (std::size_t i = 0; i < transfers->count(); ++i) {
      TransferRecord record = transfer_record(*transfers, i, 0);
      versions[places.at(record.id)].transfers.push_back(std::move(record));
    }
    return versions;
  });
}

}  // namespace ferry::metastore::postgres
