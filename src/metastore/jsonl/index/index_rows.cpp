// Index: where the rows are that others replaced.
//
// A file and a delivery have the last few themselves. Beyond those they are in groups: otherwise
// each new row would write all the ones before it anew.
#include <algorithm>
#include <array>
#include <cstring>

#include "metastore/jsonl/index/index.h"
#include "metastore/jsonl/index/index_values.h"

namespace ferry::metastore {
namespace {

constexpr std::size_t kOffsetsInGroup = 128;

std::int64_t first_offset(std::string_view older) {
  std::int64_t offset = 0;
  std::memcpy(&offset, older.data(), std::min(sizeof offset, older.size()));
  return offset;
}

void add_offsets(std::vector<std::uint64_t>& rows, std::string_view older) {
  for (; older.size() >= sizeof(std::int64_t); older.remove_prefix(sizeof(std::int64_t))) {
    rows.push_back(to_unsigned(first_offset(older)));
  }
}

}  // namespace

void Index::append_older(std::string& older, FileNumber number, std::int64_t destination,
                         std::int64_t offset) {
  std::array<char, sizeof offset> bytes{};
  if (older.size() >= kOffsetsInGroup * bytes.size()) {
    database_.run("INSERT INTO older VALUES(?, ?, ?, ?)", number, destination, first_offset(older),
                  Blob{older});
    older.clear();
  }
  std::memcpy(bytes.data(), &offset, bytes.size());
  older.append(bytes.data(), bytes.size());
}

void Index::add_rows(std::vector<std::uint64_t>& rows, FileNumber number, std::int64_t destination,
                     std::string_view older, std::int64_t current) {
  if (!older.empty()) {
    auto group = database_.query(
        "SELECT offsets FROM older WHERE file = ? AND destination = ? ORDER BY first", number,
        destination);
    while (group.next()) add_offsets(rows, group.text(0));
  }
  add_offsets(rows, older);
  rows.push_back(to_unsigned(current));
}

std::vector<std::uint64_t> Index::registry_rows(FileNumber number) {
  std::vector<std::uint64_t> rows;
  auto row = database_.query("SELECT older, offset FROM file WHERE number = ?", number);
  if (row.next()) add_rows(rows, number, kOfRegistry, row.text(0), row.integer(1));
  return rows;
}

std::vector<std::uint64_t> Index::transfer_rows(FileNumber number) {
  std::vector<std::uint64_t> rows;
  auto row =
      database_.query("SELECT destination, older, offset FROM delivery WHERE file = ?", number);
  while (row.next()) add_rows(rows, number, row.integer(0), row.text(1), row.integer(2));
  std::ranges::sort(rows);
  return rows;
}

void Index::for_each_delivery(const std::function<void(const DeliveryRows& delivery)>& visit) {
  DeliveryRows delivery;
  auto row = database_.query(
      "SELECT file, status, destination, older, offset FROM delivery ORDER BY file, destination");
  while (row.next()) {
    delivery.file = row.integer(0);
    delivery.status = static_cast<TransferStatus>(row.integer(1));
    delivery.rows.clear();
    add_rows(delivery.rows, delivery.file, row.integer(2), row.text(3), row.integer(4));
    visit(delivery);
  }
}

}  // namespace ferry::metastore
