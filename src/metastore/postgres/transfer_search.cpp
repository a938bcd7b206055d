#include "metastore/postgres/transfer_search.h"

#include <algorithm>

namespace ferry::metastore::postgres {
namespace {

constexpr std::int64_t kPage = 1'024;

std::string placeholder(const Parameters& parameters) {
  return fmt::format("${}", parameters.values().size());
}

/// Conditions on D, a row of deliveries, and F, its file.
std::string conditions(const TransferQuery& query, Parameters& parameters) {
  std::string sql;
  const auto add = [&](std::string_view condition, std::string_view value, std::string_view cast) {
    parameters.add(value);
    sql += fmt::format(" AND {} {}{}", condition, placeholder(parameters), cast);
  };
  if (!query.destination.empty()) add("d.destination =", query.destination, "");
  if (!query.batch_id.empty()) add("d.batch_id =", query.batch_id, "");
  if (query.date.since) {
    add("d.transfer_date >=", format_timestamp(*query.date.since), "::timestamptz");
  }
  if (query.date.until) {
    add("d.transfer_date <", format_timestamp(*query.date.until), "::timestamptz");
  }
  if (query.updated.since) {
    add("f.updated_date >=", format_timestamp(*query.updated.since), "::timestamptz");
  }
  if (query.updated.until) {
    add("f.updated_date <", format_timestamp(*query.updated.until), "::timestamptz");
  }
  if (query.statuses.empty()) return sql;
  std::vector<std::string> statuses;
  for (const TransferStatus status : query.statuses) statuses.emplace_back(to_string(status));
  parameters.add(statuses);
  sql += fmt::format(" AND d.transfer_status = ANY({}::text[])", placeholder(parameters));
  // An index has those only.
  if (std::ranges::find(query.statuses, TransferStatus::kSuccessful) == query.statuses.end()) {
    sql += " AND d.transfer_status <> 'successful'";
  }
  return sql;
}

}  // namespace

TransferSearch::TransferSearch(TransferQuery query)
    : query_(std::move(query)),
      goes_by_date_(query_.date.since && !query_.destination.empty() &&
                    query_.statuses == std::vector{TransferStatus::kSuccessful}) {}

bool TransferSearch::matches(const DeliveryRow& delivery) const {
  return (query_.destination.empty() || delivery.destination == query_.destination) &&
         (query_.batch_id.empty() || delivery.batch_id == query_.batch_id) &&
         (query_.statuses.empty() ||
          std::ranges::find(query_.statuses, delivery.status) != query_.statuses.end()) &&
         query_.date.contains(delivery.date);
}

Result<std::vector<FileNumber>> TransferSearch::candidates(Snapshot& snapshot) {
  Parameters parameters;
  parameters.add(last_).add(kPage);
  std::string sql = conditions(query_, parameters);
  if (!goes_by_date_) {
    sql = fmt::format(
        "SELECT DISTINCT d.file FROM deliveries d JOIN files f ON f.number = d.file WHERE d.file > "
        "$1{} ORDER BY d.file LIMIT $2",
        sql);
  } else {
    // Microseconds: two dates that differ by less than we show are two dates.
    parameters.add(last_date_us_);
    sql = fmt::format(
        "SELECT d.file, (extract(epoch FROM d.transfer_date) * 1000000)::bigint FROM deliveries d "
        "JOIN files f ON f.number = d.file WHERE (d.transfer_date, d.file) > (to_timestamp({0}::"
        "bigint / 1000000) + ({0}::bigint % 1000000) * interval '1 microsecond', $1::bigint) AND "
        "d.transfer_status = 'successful'{1} ORDER BY d.transfer_date, d.file LIMIT $2",
        placeholder(parameters), sql);
  }
  const auto rows = snapshot.connection().run(sql, parameters);
  if (!rows) return rows.error();
  auto numbers = numbers_in(*rows);
  if (numbers.empty()) return numbers;
  last_ = numbers.back();
  if (goes_by_date_) last_date_us_ = rows->integer(rows->count() - 1, 1);
  return numbers;
}

Result<std::vector<FoundTransfer>> TransferSearch::next(Snapshot& snapshot) {
  std::vector<FoundTransfer> page;
  while (page.empty()) {
    const auto numbers = candidates(snapshot);
    if (!numbers) return numbers.error();
    if (numbers->empty()) break;
    const auto files = snapshot.load(*numbers);
    if (!files) return files.error();
    if (auto looked = snapshot.look_who_lives(); !looked) return looked.error();
    for (const KnownFile& file : *files) {
      for (const DeliveryRow& delivery : file.deliveries) {
        if (!matches(delivery)) continue;
        const bool is_alive = snapshot.liveness().is_alive(delivery.agent);
        page.push_back({snapshot.record(file), delivery, is_alive});
      }
    }
  }
  return page;
}

}  // namespace ferry::metastore::postgres
