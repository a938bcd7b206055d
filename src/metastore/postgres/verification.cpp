#include "metastore/postgres/verification.h"

#include <algorithm>

namespace ferry::metastore::postgres {
namespace {

constexpr std::int64_t kPage = 2'000;

std::vector<FileNumber> numbers_of(const std::vector<KnownFile>& files) {
  std::vector<FileNumber> numbers;
  for (const KnownFile& file : files) numbers.push_back(file.file.number);
  return numbers;
}

}  // namespace

Result<void> Verification::run() {
  for (FileNumber last = 0;;) {
    const auto rows = snapshot_.connection().run(
        "SELECT number FROM files WHERE number > $1 ORDER BY number LIMIT $2",
        Parameters().add(last).add(kPage));
    if (!rows) return rows.error();
    const auto numbers = numbers_in(*rows);
    if (numbers.empty()) break;
    last = numbers.back();
    const auto files = snapshot_.load(numbers);
    if (!files) return files.error();
    if (files->size() != numbers.size()) differ("a file's row is not in file_registry");
    if (auto done = compare_files(*files); !done) return done;
    if (auto done = compare_deliveries(*files); !done) return done;
    if (auto done = compare_standings(*files); !done) return done;
  }
  return compare_sums();
}

Result<void> Verification::compare_files(const std::vector<KnownFile>& files) {
  const auto rows = snapshot_.connection().run(
      "SELECT f.id FROM files f JOIN file_registry r ON r.row = f.row WHERE f.number = "
      "ANY($1::bigint[]) AND ((f.id, f.path, f.landing, f.state, f.updated_date, f.size) IS "
      "DISTINCT FROM (r.id, r.path, coalesce(r.landing, ''), r.state, r.updated_date, "
      "coalesce(r.size, 0)) OR EXISTS (SELECT FROM file_registry n WHERE n.id = f.id AND n.row > "
      "f.row))",
      Parameters().add(numbers_of(files)));
  if (!rows) return rows.error();
  for (std::size_t i = 0; i < rows->count(); ++i) {
    differ("{}: files is not what file_registry says", rows->text(i, 0));
  }
  return {};
}

Result<void> Verification::compare_deliveries(const std::vector<KnownFile>& files) {
  std::vector<std::string> ids;
  for (const KnownFile& file : files) ids.push_back(file.file.record.id);
  const auto rows = snapshot_.connection().run(
      "SELECT " FERRY_TRANSFER_COLUMNS
      " FROM (SELECT * FROM transfer_logs WHERE id = ANY($1::text[]) UNION ALL SELECT * FROM "
      "transfer_logs_archive WHERE id = ANY($1::text[])) AS l ORDER BY l.row",
      Parameters().add(ids));
  if (!rows) return rows.error();
  std::map<std::string, std::map<std::string, DeliveryRow>> folded;
  for (std::size_t i = 0; i < rows->count(); ++i) {
    const TransferRecord row = transfer_record(*rows, i, 0);
    auto& deliveries = folded[row.id];
    const auto known = deliveries.find(row.destination);
    deliveries[row.destination] =
        fold(known == deliveries.end() ? nullptr : &known->second, row, rows->integer(i, 0));
  }
  for (const KnownFile& file : files) {
    std::vector<DeliveryRow> expected;
    for (auto& [destination, delivery] : folded[file.file.record.id]) {
      if (delivery.status == TransferStatus::kSuccessful) {
        delivered_[destination].add(delivery, file.file.registered, 1);
      }
      expected.push_back(std::move(delivery));
    }
    if (expected != file.deliveries) {
      differ("{}: deliveries is not what transfer_logs says", file.file.record.id);
    }
  }
  return {};
}

Result<Verification::Standings> Verification::standings_of(const std::vector<KnownFile>& files) {
  const auto known = classes(snapshot_.connection(), route_.route.id);
  if (!known) return known.error();
  std::map<std::int64_t, Class::Key> keys;
  for (const Class& one : *known) keys.emplace(one.id, one.key());
  const auto rows = snapshot_.connection().run(
      "SELECT s.file, s.class FROM standings s JOIN files f ON f.number = s.file AND s.size = "
      "f.size AND s.updated = floor(extract(epoch FROM f.updated_date) * 1000) WHERE s.file = "
      "ANY($1::bigint[]) AND s.class IN (SELECT id FROM classes WHERE route = $2)",
      Parameters().add(numbers_of(files)).add(route_.route.id));
  if (!rows) return rows.error();
  Standings found;
  for (std::size_t i = 0; i < rows->count(); ++i) {
    found[rows->integer(i, 0)].push_back(keys.at(rows->integer(i, 1)));
  }
  return found;
}

Result<void> Verification::compare_standings(const std::vector<KnownFile>& files) {
  if (!route_.is_current()) return {};
  auto found = standings_of(files);
  if (!found) return found.error();
  for (const KnownFile& file : files) {
    std::vector<Class::Key> expected;
    for (const Class& one : judge(file, snapshot_.viewpoint())) expected.push_back(one.key());
    auto& keys = (*found)[file.file.number];
    std::ranges::sort(expected);
    std::ranges::sort(keys);
    if (expected != keys) differ("{}: standings is not what the rules say", file.file.record.id);
  }
  return {};
}

Result<void> Verification::compare_sums() {
  auto stored = delivered(snapshot_.connection());
  if (!stored) return stored.error();
  std::erase_if(*stored, [](const auto& sum) { return sum.second == Delivered{}; });
  if (*stored != delivered_) differ("delivered_sums is not what deliveries say");
  const auto rows = snapshot_.connection().run(
      "SELECT class FROM (SELECT class, files, bytes FROM class_sums UNION ALL SELECT class, -1, "
      "-size FROM standings) s GROUP BY class HAVING sum(files) <> 0 OR sum(bytes) <> 0");
  if (!rows) return rows.error();
  for (std::size_t i = 0; i < rows->count(); ++i) {
    differ("class {}: class_sums is not what standings say", rows->integer(i, 0));
  }
  return {};
}

}  // namespace ferry::metastore::postgres
