#include "metastore/postgres/routes.h"

#include <algorithm>

namespace ferry::metastore::postgres {
namespace {

/// Those of the configuration, of --to on the command line, of none, of one before a change.
constexpr std::int64_t kRoutes = 6;
constexpr std::int64_t kPage = 5'000;

Result<void> enter_classes(Connection& connection, std::int64_t route,
                           std::span<const Class> added) {
  Column destination, standing, status, error_kind, is_open, is_by_any, is_due;
  for (const Class& one : added) {
    destination.add(std::string_view(one.destination));
    standing.add(static_cast<std::int64_t>(one.standing));
    status.add(one.status ? static_cast<std::int64_t>(*one.status) : std::int64_t{-1});
    error_kind.add(std::string_view(one.error_kind));
    is_open.add_flag(one.is_open);
    is_by_any.add_flag(one.is_by_any);
    is_due.add_flag(one.is_due_to_go);
  }
  Parameters parameters;
  parameters.add(route);
  for (Column* column :
       {&destination, &standing, &status, &error_kind, &is_open, &is_by_any, &is_due}) {
    parameters.add(std::move(*column));
  }
  const auto done = connection.run(
      "INSERT INTO classes (route, destination, standing, status, error_kind, is_open, is_by_any, "
      "is_due_to_go) SELECT $1::integer, * FROM unnest($2::text[], $3::smallint[], "
      "$4::smallint[], $5::text[], $6::boolean[], $7::boolean[], $8::boolean[]) AS c(destination, "
      "standing, status, error_kind, is_open, is_by_any, is_due) ORDER BY c ON CONFLICT DO NOTHING",
      parameters);
  return done ? Result<void>() : done.error();
}

Result<void> remove_standings(Connection& connection, std::int64_t route,
                              const std::vector<FileNumber>& numbers) {
  Parameters parameters;
  parameters.add(numbers).add(route);
  return connection.send(
      "WITH gone AS (DELETE FROM standings WHERE file = ANY($1::bigint[]) AND class IN (SELECT id "
      "FROM classes WHERE route = $2::integer OR $2::integer = 0) RETURNING class, size) INSERT "
      "INTO class_sums SELECT class, -count(*), -sum(size) FROM gone GROUP BY class",
      parameters);
}

}  // namespace

Class::Key Class::key() const {
  return {destination,
          static_cast<int>(standing),
          status ? static_cast<int>(*status) : -1,
          error_kind,
          is_open,
          is_by_any,
          is_due_to_go};
}

Class class_of(const Judgement& judgement) {
  return {.id = 0,
          .destination = std::string(judgement.destination),
          .error_kind = std::string(judgement.error_kind),
          .standing = judgement.standing,
          .status = judgement.status,
          .is_open = judgement.is_open,
          .is_by_any = judgement.is_by_any,
          .is_due_to_go = judgement.is_due_to_go};
}

std::vector<Class> judge(const KnownFile& file, const Viewpoint& viewpoint) {
  FileRecord outline;
  outline.id = file.file.record.id;
  outline.path = file.file.record.path;
  outline.landing = viewpoint.canonical(file.file.record.landing);
  outline.updated_date = file.file.record.updated_date;
  outline.state = file.file.record.state;
  std::vector<Delivery> deliveries;
  for (const DeliveryRow& row : file.deliveries) deliveries.push_back(row.view(false));
  std::vector<Judgement> judgements;
  metastore::judge(outline, deliveries, viewpoint.demand, judgements);
  std::vector<Class> found;
  for (const Judgement& one : judgements) {
    const bool is_delivered = one.standing == Standing::kSuccessful;
    if (is_delivered && !one.is_by_any && !one.is_due_to_go) continue;
    found.push_back(class_of(one));
  }
  return found;
}

Result<std::vector<Route>> hold_routes(Connection& connection) {
  const auto rows = connection.command(
      "LOCK TABLE routes IN ROW EXCLUSIVE MODE; SELECT id::text, fingerprint, is_complete::text "
      "FROM routes");
  if (!rows) return rows.error();
  std::vector<Route> routes;
  for (std::size_t i = 0; i < rows->count(); ++i) {  // text, since nothing was sent along
    routes.push_back({.id = std::atoll(std::string(rows->text(i, 0)).c_str()),
                      .fingerprint = std::string(rows->text(i, 1)),
                      .is_complete = rows->text(i, 2) == "true"});
  }
  return routes;
}

Result<RouteState> find_route(Connection& connection, const Viewpoint& viewpoint) {
  RouteState state;
  if (viewpoint.is_private) return state;
  Parameters parameters;
  parameters.add(viewpoint.fingerprint);
  const auto rows = connection.run(
      "SELECT id, is_complete, EXISTS (SELECT FROM unjudged WHERE route = id) FROM routes WHERE "
      "fingerprint = $1",
      parameters);
  if (!rows) return rows.error();
  if (rows->count() == 0) return state;
  state.route = {.id = rows->integer(0, 0),
                 .fingerprint = viewpoint.fingerprint,
                 .is_complete = rows->flag(0, 1)};
  state.has_unjudged = rows->flag(0, 2);
  return state;
}

Result<std::vector<Class>> classes(Connection& connection, std::int64_t route) {
  Parameters parameters;
  parameters.add(route);
  const auto rows = connection.run(
      "SELECT id, destination, standing, status, error_kind, is_open, is_by_any, is_due_to_go FROM "
      "classes WHERE route = $1::integer",
      parameters);
  if (!rows) return rows.error();
  std::vector<Class> found(rows->count());
  for (std::size_t i = 0; i < found.size(); ++i) {
    Class& one = found[i];
    one.id = rows->integer(i, 0);
    one.destination = rows->text(i, 1);
    one.standing = static_cast<Standing>(rows->integer(i, 2));
    if (rows->integer(i, 3) >= 0) one.status = static_cast<TransferStatus>(rows->integer(i, 3));
    one.error_kind = rows->text(i, 4);
    one.is_open = rows->flag(i, 5);
    one.is_by_any = rows->flag(i, 6);
    one.is_due_to_go = rows->flag(i, 7);
  }
  return found;
}

Result<Rejudgement> Rejudgement::of(std::span<const KnownFile* const> files, std::int64_t route,
                                    const Viewpoint& viewpoint, Connection& connection) {
  Rejudgement all(route);
  for (const KnownFile* file : files) {
    all.numbers_.push_back(file->file.number);
    for (Class& one : postgres::judge(*file, viewpoint)) {
      all.judged_.push_back({file, std::move(one)});
    }
  }
  if (all.judged_.empty()) return all;
  if (auto found = all.find_ids(connection); !found) return found.error();
  return all;
}

Result<void> Rejudgement::write(Connection& connection, bool have_standings) {
  if (have_standings) {
    if (auto removed = remove_standings(connection, route_, numbers_); !removed) return removed;
  }
  if (judged_.empty()) return {};
  if (auto entered = enter_missing_classes(connection); !entered) return entered;
  return insert_standings(connection);
}

Result<void> Rejudgement::find_ids(Connection& connection) {
  const auto known = classes(connection, route_);
  if (!known) return known.error();
  for (const Class& one : *known) ids_.emplace(one.key(), one.id);
  return {};
}

/// Others may enter the same ones: who comes second waits for who came first.
Result<void> Rejudgement::enter_missing_classes(Connection& connection) {
  std::map<Class::Key, Class> missing;
  for (const Judged& one : judged_) {
    const auto key = one.of.key();
    if (!ids_.contains(key)) missing.emplace(key, one.of);
  }
  if (missing.empty()) return {};
  std::vector<Class> added;
  for (auto& [key, one] : missing) added.push_back(std::move(one));
  if (auto entered = enter_classes(connection, route_, added); !entered) return entered;
  return find_ids(connection);
}

Result<void> Rejudgement::insert_standings(Connection& connection) const {
  Column classes, files, updated, sizes;
  for (const Judged& one : judged_) {
    classes.add(ids_.at(one.of.key()));
    files.add(one.file->file.number);
    updated.add(to_ms(one.file->file.record.updated_date));
    sizes.add(one.file->file.size);
  }
  Parameters parameters;
  for (Column* column : {&classes, &files, &updated, &sizes}) parameters.add(std::move(*column));
  return connection.send(
      "WITH come AS (INSERT INTO standings SELECT * FROM unnest($1::integer[], $2::bigint[], "
      "$3::bigint[], $4::bigint[]) RETURNING class, size) INSERT INTO class_sums SELECT class, "
      "count(*), sum(size) FROM come GROUP BY class",
      parameters);
}

Result<void> forget_standings(Connection& connection, const std::vector<FileNumber>& numbers) {
  return remove_standings(connection, 0, numbers);
}

// Bringing a route up to date.

namespace {

/// Waits for those who change files, so that from then on all of them know of it.
Result<void> make_route(Connection& connection, const Viewpoint& viewpoint) {
  const auto locked = connection.command("LOCK TABLE routes IN SHARE ROW EXCLUSIVE MODE");
  if (!locked) return locked.error();
  Parameters self;
  self.add(viewpoint.fingerprint);
  const auto made =
      connection.run("INSERT INTO routes (fingerprint) VALUES ($1) ON CONFLICT DO NOTHING", self);
  if (!made) return made.error();
  const auto old =
      connection.run("SELECT id FROM routes ORDER BY used DESC, id DESC OFFSET $1::bigint",
                     Parameters().add(kRoutes));
  if (!old) return old.error();
  if (old->count() == 0) return {};
  Parameters which;
  which.add(numbers_in(*old));
  for (const char* sql : {"DELETE FROM class_sums WHERE class IN (SELECT id FROM classes WHERE "
                          "route = ANY($1::integer[]))",
                          "DELETE FROM standings WHERE class IN (SELECT id FROM classes WHERE "
                          "route = ANY($1::integer[]))",
                          "DELETE FROM unjudged WHERE route = ANY($1::integer[])",
                          "DELETE FROM routes WHERE id = ANY($1::integer[])"}) {
    const auto gone = connection.run(sql, which);
    if (!gone) return gone.error();
  }
  return {};
}

/// The next files that the route has not judged yet. Returns up to which one it has; nothing: it is
/// complete.
Result<std::optional<FileNumber>> populate(Connection& connection, const Viewpoint& viewpoint) {
  if (auto held = hold_routes(connection); !held) return held.error();
  Parameters self;
  self.add(viewpoint.fingerprint);
  const auto route = connection.run(
      "SELECT id, judged FROM routes WHERE fingerprint = $1 AND NOT is_complete FOR UPDATE", self);
  if (!route) return route.error();
  if (route->count() == 0) return std::optional<FileNumber>();
  Parameters from;
  from.add(route->integer(0, 1)).add(kPage);
  const auto rows =
      connection.run("SELECT number FROM files WHERE number > $1 ORDER BY number LIMIT $2", from);
  if (!rows) return rows.error();
  const auto numbers = numbers_in(*rows);
  Snapshot snapshot(connection, viewpoint);
  const auto files = snapshot.outline(numbers);
  if (!files) return files.error();
  std::vector<const KnownFile*> pointers;
  for (const KnownFile& file : *files) pointers.push_back(&file);
  auto judged = Rejudgement::of(pointers, route->integer(0, 0), viewpoint, connection);
  if (!judged) return judged.error();
  if (auto written = judged->write(connection, false); !written) return written.error();
  const bool is_complete = numbers.size() < static_cast<std::size_t>(kPage);
  const FileNumber last = numbers.empty() ? route->integer(0, 1) : numbers.back();
  Parameters now;
  now.add(route->integer(0, 0)).add(last).add(is_complete ? "t" : "f");
  const auto noted =
      connection.run("UPDATE routes SET judged = $2, is_complete = $3::boolean WHERE id = $1", now);
  if (!noted) return noted.error();
  return is_complete ? std::optional<FileNumber>() : std::optional(last);
}

/// Some of the files that changed; false: there are no more, or others are at them.
Result<bool> judge_changes(Connection& connection, const Viewpoint& viewpoint) {
  const auto routes = hold_routes(connection);
  if (!routes) return routes.error();
  const auto route = std::ranges::find(*routes, viewpoint.fingerprint, &Route::fingerprint);
  if (route == routes->end() || !route->is_complete) return false;
  Parameters which;
  which.add(route->id).add(kPage);
  const auto changed = connection.run(
      "DELETE FROM unjudged WHERE ctid = ANY (ARRAY(SELECT ctid FROM unjudged WHERE route = $1 "
      "LIMIT $2 FOR UPDATE SKIP LOCKED)) RETURNING file",
      which);
  if (!changed) return changed.error();
  if (changed->count() == 0) return false;
  Snapshot snapshot(connection, viewpoint);
  const auto files = snapshot.lock_outlines(numbers_in(*changed));
  if (!files) return files.error();
  std::vector<const KnownFile*> pointers;
  for (const KnownFile& file : *files) pointers.push_back(&file);
  auto judged = Rejudgement::of(pointers, route->id, viewpoint, connection);
  if (!judged) return judged.error();
  if (auto written = judged->write(connection, true); !written) return written.error();
  return true;
}

}  // namespace

Result<void> bring_up_to_date(Database& database, const Viewpoint& viewpoint,
                              const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  if (viewpoint.is_private) return {};
  std::int64_t last = 0;
  const auto state = database.read([&](Connection& connection) -> Result<RouteState> {
    const auto newest = connection.run("SELECT coalesce(max(number), 0) FROM files");
    if (!newest) return newest.error();
    last = newest->integer(0, 0);
    return find_route(connection, viewpoint);
  });
  if (!state) return state.error();
  if (state->route.id == 0) {
    auto made =
        database.write([&](Connection& connection) { return make_route(connection, viewpoint); });
    if (!made) return made;
  }
  for (;;) {
    const auto judged =
        database.write([&](Connection& connection) { return populate(connection, viewpoint); });
    if (!judged) return judged.error();
    if (!*judged) break;
    if (progress) {
      progress(static_cast<std::uint64_t>(**judged),
               static_cast<std::uint64_t>(std::max(last, **judged)));
    }
  }
  for (bool goes_on = true; goes_on;) {
    const auto more = database.write(
        [&](Connection& connection) { return judge_changes(connection, viewpoint); });
    if (!more) return more.error();
    goes_on = *more;
  }
  return {};
}

}  // namespace ferry::metastore::postgres
