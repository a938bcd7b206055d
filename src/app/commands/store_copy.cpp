#include "app/commands/store_copy.h"

#include <optional>
#include <utility>
#include <vector>

#include "ferry/base/hash.h"

namespace ferry::app {
namespace {

using metastore::FileRecord;
using metastore::TransferRecord;
using metastore::Upkeep;

/// Rows that are appended at once.
constexpr std::size_t kGroupSize = 10'000;

/// What one side has of a table.
struct Content {
  std::uint64_t rows = 0;
  Checksum digest;

  bool operator==(const Content&) const = default;
};

class Digest {
 public:
  template <typename Row>
  void add(const Row& row) {
    hasher_.update(as_bytes(to_line(row)));
    ++rows_;
  }
  Content finish() { return {rows_, hasher_.finish()}; }

 private:
  Hasher hasher_{HashAlgorithm::kSha256};
  std::uint64_t rows_ = 0;
};

// The same for both tables.

Result<void> visit(Upkeep& store, const Upkeep::FileRowVisitor& visitor) {
  return store.visit_file_rows(visitor);
}
Result<void> visit(Upkeep& store, const Upkeep::TransferRowVisitor& visitor) {
  return store.visit_transfer_rows(visitor);
}
Result<void> append(Upkeep& store, const std::vector<FileRecord>& rows) {
  return store.append_file_rows(rows);
}
Result<void> append(Upkeep& store, const std::vector<TransferRecord>& rows) {
  return store.append_transfer_rows(rows);
}

template <typename Row>
Result<Content> content_of(Upkeep& store) {
  Digest digest;
  const std::function<Result<void>(Row)> add = [&](const Row& row) {
    digest.add(row);
    return Result<void>();
  };
  if (auto visited = visit(store, add); !visited) return visited.error();
  return digest.finish();
}

/// Appends the rows of FROM that follow those that TO has. Returns how many.
template <typename Row>
Result<std::uint64_t> copy_table(Upkeep& from, Upkeep& to) {
  const auto there = content_of<Row>(to);
  if (!there) return there.error();
  Digest known;
  std::uint64_t seen = 0;
  std::uint64_t copied = 0;
  std::vector<Row> group;
  const auto other_rows = [] {
    return make_error(ErrorKind::kInvalid,
                      "the metastore to import into has rows that the other has not: import into "
                      "one that is new");
  };
  const auto flush = [&]() -> Result<void> {
    if (group.empty()) return {};
    if (auto appended = append(to, group); !appended) return appended;
    copied += group.size();
    group.clear();
    return {};
  };
  const std::function<Result<void>(Row)> take = [&](Row row) -> Result<void> {
    if (seen < there->rows) {
      known.add(row);
    } else {
      group.push_back(std::move(row));
    }
    // Nothing is appended to what is not the beginning of the same rows.
    if (++seen == there->rows && known.finish() != *there) return other_rows();
    return group.size() < kGroupSize ? Result<void>() : flush();
  };
  auto visited = visit(from, take);
  if (visited && seen < there->rows) visited = other_rows();
  if (visited) visited = flush();
  if (!visited) return visited.error();
  return copied;
}

template <typename Row>
Result<Content> compare(Upkeep& from, Upkeep& to, std::uint64_t copied) {
  const auto source = content_of<Row>(from);
  if (!source) return source.error();
  const auto target = content_of<Row>(to);
  if (!target) return target.error();
  if (*source == *target) return *source;
  if (source->rows > target->rows) {
    return make_error(ErrorKind::kBusy,
                      "the metastore that is imported has changed meanwhile: stop what works with "
                      "it and run the import again, which goes on where it is");
  }
  return make_error(ErrorKind::kCorrupt,
                    "the two metastores differ after {} rows were copied: {} rows here, {} there",
                    copied, source->rows, target->rows);
}

}  // namespace

Result<StoreCopy> copy_store(metastore::Metastore& from, metastore::Metastore& to) {
  Upkeep& source = from.upkeep();
  Upkeep& target = to.upkeep();
  const auto files = copy_table<FileRecord>(source, target);
  if (!files) return files.error();
  const auto transfers = copy_table<TransferRecord>(source, target);
  if (!transfers) return transfers.error();
  const auto registry = compare<FileRecord>(source, target, *files);
  if (!registry) return registry.error();
  const auto logs = compare<TransferRecord>(source, target, *transfers);
  if (!logs) return logs.error();
  Hasher both(HashAlgorithm::kSha256);
  both.update(as_bytes(registry->digest.to_string() + logs->digest.to_string()));
  return StoreCopy{.files = registry->rows,
                   .transfers = logs->rows,
                   .copied = *files + *transfers,
                   .digest = both.finish().to_string()};
}

}  // namespace ferry::app
