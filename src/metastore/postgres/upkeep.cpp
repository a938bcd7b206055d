// How PostgresMetastore is looked after.
#include <algorithm>
#include <set>

#include "ferry/base/log.h"
#include "metastore/postgres/postgres_metastore.h"
#include "metastore/postgres/verification.h"

namespace ferry::metastore::postgres {
namespace {

constexpr std::int64_t kPage = 5'000;

struct Size {
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;
};

Result<Size> size_of_tables(Connection& connection) {
  const auto rows = connection.run(
      "SELECT (SELECT count(*) FROM file_registry) + (SELECT count(*) FROM transfer_logs), "
      "pg_total_relation_size('file_registry') + pg_total_relation_size('transfer_logs')");
  if (!rows) return rows.error();
  return Size{static_cast<std::uint64_t>(rows->integer(0, 0)),
              static_cast<std::uint64_t>(rows->integer(0, 1))};
}

/// Rows that a later row of their key replaced. What was entered meanwhile is newer.
Result<void> archive_replaced_rows(Connection& connection) {
  for (const char* sql :
       {"WITH gone AS (DELETE FROM file_registry r USING files f WHERE f.id = r.id AND r.row < "
        "f.row "
        "RETURNING r.*) INSERT INTO file_registry_archive SELECT * FROM gone",
        "WITH gone AS (DELETE FROM transfer_logs l USING files f, deliveries d WHERE f.id = l.id "
        "AND "
        "d.file = f.number AND d.destination = coalesce(l.destination, '') AND l.row < d.row "
        "RETURNING l.*) INSERT INTO transfer_logs_archive SELECT * FROM gone"}) {
    if (auto done = connection.command(sql); !done) return done.error();
  }
  return {};
}

struct Settled {
  std::vector<FileNumber> numbers;
  std::vector<std::string> ids;
  std::map<std::string, Delivered> delivered;
};

/// Those of FILES, which are locked, that nobody will ask for again.
Result<Settled> settled_among(Snapshot& snapshot, const std::vector<KnownFile>& files,
                              Timestamp since) {
  const auto versions = snapshot.versions(files);
  if (!versions) return versions.error();
  if (auto looked = snapshot.look_who_lives(); !looked) return looked.error();
  Settled settled;
  for (std::size_t i = 0; i < files.size(); ++i) {
    const auto& all = (*versions)[i];
    const bool is_latest = !all.empty() && all.back().number == files[i].file.number;
    if (!is_settled(snapshot.record(files[i]), snapshot.deliveries(files[i]), is_latest,
                    snapshot.demand(), since)) {
      continue;
    }
    settled.numbers.push_back(files[i].file.number);
    settled.ids.push_back(files[i].file.record.id);
    for (const DeliveryRow& delivery : files[i].deliveries) {
      if (delivery.status != TransferStatus::kSuccessful) continue;
      settled.delivered[delivery.destination].add(delivery, files[i].file.registered, -1);
    }
  }
  return settled;
}

Result<void> archive_files(Connection& connection, const Settled& settled) {
  Parameters ids;
  ids.add(settled.ids);
  for (const char* sql :
       {"WITH gone AS (DELETE FROM transfer_logs WHERE id = ANY($1::text[]) "
        "RETURNING *) INSERT INTO "
        "transfer_logs_archive SELECT * FROM gone",
        "WITH gone AS (DELETE FROM file_registry WHERE id = ANY($1::text[]) "
        "RETURNING *) INSERT INTO "
        "file_registry_archive SELECT * FROM gone",
        "WITH gone AS (DELETE FROM files WHERE id = ANY($1::text[]) RETURNING number) DELETE FROM "
        "deliveries WHERE file IN (SELECT number FROM gone)"}) {
    if (auto done = connection.run(sql, ids); !done) return done.error();
  }
  if (auto forgotten = forget_standings(connection, settled.numbers); !forgotten) return forgotten;
  return enter_delivered(connection, settled.delivered);
}

/// Some that may be settled, behind LAST; returns the last of them, or LAST.
Result<FileNumber> archive_settled(Connection& connection, const Viewpoint& viewpoint,
                                   FileNumber last, Timestamp since) {
  if (auto held = hold_routes(connection); !held) return held.error();
  Parameters from;
  from.add(last).add(format_timestamp(since)).add(kPage);
  const auto rows = connection.run(
      "SELECT number FROM files f WHERE number > $1 AND updated_date < $2::timestamptz AND (state "
      "IN ('superseded', 'missing') OR (state = 'ready' AND EXISTS (SELECT FROM files o WHERE "
      "o.landing = f.landing AND o.path = f.path AND o.number > f.number))) ORDER BY number LIMIT "
      "$3 FOR UPDATE SKIP LOCKED",
      from);
  if (!rows) return rows.error();
  const auto numbers = numbers_in(*rows);
  if (numbers.empty()) return last;
  Snapshot snapshot(connection, viewpoint);
  const auto files = snapshot.load(numbers);
  if (!files) return files.error();
  const auto settled = settled_among(snapshot, *files, since);
  if (!settled) return settled.error();
  if (!settled->numbers.empty()) {
    if (auto archived = archive_files(connection, *settled); !archived) return archived.error();
  }
  return numbers.back();
}

}  // namespace

Result<Upkeep::Compaction> PostgresMetastore::compact(Timestamp since) {
  if (access_ == Access::kRead) return read_only();
  const auto before = database_.read(size_of_tables);
  if (!before) return before.error();
  if (auto archived = database_.write(archive_replaced_rows); !archived) return archived.error();
  const View own = view();
  for (FileNumber last = 0;;) {
    const auto reached = database_.write(
        [&](Connection& connection) { return archive_settled(connection, *own, last, since); });
    if (!reached) return reached.error();
    if (*reached == last) break;
    last = *reached;
  }
  if (auto tidied = tidy_sums(); !tidied) return tidied.error();
  const auto after = database_.read(size_of_tables);
  if (!after) return after.error();
  const Compaction done{.rows_before = before->rows,
                        .rows_after = after->rows,
                        .bytes_before = before->bytes,
                        .bytes_after = after->bytes};
  log::info("metastore compacted", {{"rows_before", done.rows_before},
                                    {"rows_after", done.rows_after},
                                    {"bytes_before", done.bytes_before},
                                    {"bytes_after", done.bytes_after}});
  return done;
}

/// Adds the parts of each sum up.
Result<void> PostgresMetastore::tidy_sums() {
  return database_.write([](Connection& connection) -> Result<void> {
    const auto added = connection.command(
        "WITH gone AS (DELETE FROM class_sums RETURNING *) INSERT INTO class_sums SELECT class, "
        "sum(files), sum(bytes) FROM gone GROUP BY class HAVING sum(files) <> 0 OR sum(bytes) <> "
        "0");
    if (!added) return added.error();
    const auto locked = connection.command("SELECT 1 FROM delivered_sums FOR UPDATE");
    if (!locked) return locked.error();
    const auto gone = connection.run(
        "DELETE FROM delivered_sums RETURNING destination, files, bytes, durations, latencies");
    if (!gone) return gone.error();
    return enter_delivered(connection, delivered_in(*gone));
  });
}

void PostgresMetastore::tidy_sums_at_times() {
  constexpr unsigned kParts = 64;
  if (++changes_ % kParts != 0) return;
  if (auto tidied = tidy_sums(); !tidied) {
    log::warning("sums not tidied", {{"error", tidied.error().message}});
  }
}

Result<Upkeep::Orphans> PostgresMetastore::orphans() {
  return database_.read([](Connection& connection) -> Result<Orphans> {
    const auto any = connection.run("SELECT EXISTS (SELECT FROM files)");
    if (!any) return any.error();
    if (any->flag(0, 0)) return Orphans{};
    const auto rows = connection.run("SELECT count(*) FROM transfer_logs");
    if (!rows) return rows.error();
    return Orphans{.rows = static_cast<std::uint64_t>(rows->integer(0, 0)),
                   .registry_is_empty = true};
  });
}

/// What is derived is derived again, from all rows.
Result<std::vector<std::string>> PostgresMetastore::verify() {
  using Answer = Result<std::vector<std::string>>;
  return ask(view(), true, [](Snapshot& snapshot, const RouteState& route) -> Answer {
    Verification verification(snapshot, route);
    if (auto compared = verification.run(); !compared) return compared.error();
    return verification.differences();
  });
}

}  // namespace ferry::metastore::postgres
